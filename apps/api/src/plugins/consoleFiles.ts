import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Problem } from '../problem.ts'

/** Where the console's build lies, seen from the source as well as from what is built of it. */
const BUILD = join(import.meta.dirname, '../../../console/dist')

export interface ConsoleFilesOptions {
  /** Where the build lies. */
  folder?: string
}

/**
 * The console, a single page: every path below /console that is no file of its build is answered with the
 * page, which reads the path itself.
 */
export const consoleFiles = fastifyPlugin<ConsoleFilesOptions>(async (app, options) => {
  const { folder = BUILD } = options
  if (!existsSync(join(folder, 'index.html'))) {
    app.log.warn({ remedy: 'pnpm build' }, 'the console is not built, so it is not served')
    return
  }
  await app.register(fastifyStatic, {
    root: folder,
    prefix: '/console/',
    wildcard: false,
    index: false,
    cacheControl: false,
    setHeaders(reply, path) {
      // The names of what is built carry a hash of the content.
      const isHashed = path.startsWith(join(folder, 'assets'))
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  const sendPage = (reply: FastifyReply) => reply.sendFile('index.html')
  app.get('/console', { schema: { hide: true } }, (_request, reply) => sendPage(reply))
  app.get('/console/*', { schema: { hide: true } }, (request, reply) => {
    // A file that is missing is not to be answered with a page.
    if (request.url.startsWith('/console/assets/'))
      throw new Problem(404, { detail: 'The console has no such file' })
    return sendPage(reply)
  })
})
