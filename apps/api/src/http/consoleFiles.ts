import { existsSync } from 'node:fs'
import { join, sep } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Problem } from './problem.ts'

/** Where the console's build lies, seen from the source as well as from what is built of it. */
const BUILD = join(import.meta.dirname, '../../../console/dist')
const PAGE = 'index.html'
const REMEDY = 'pnpm build'

export interface ConsoleFilesOptions {
  /** Where the build lies. */
  folder?: string
}

/**
 * The console, a single page: every path below /console that cannot be a file of its build is answered with the
 * page, which reads the path itself. Files are looked for when they are asked for: in development they are built
 * again while this runs, and get new names.
 */
export const consoleFiles = fastifyPlugin<ConsoleFilesOptions>(async (app, options) => {
  const { folder = BUILD } = options
  const page = join(folder, PAGE)
  if (!existsSync(page)) app.log.warn({ remedy: REMEDY }, 'the console is not built yet')
  await app.register(fastifyStatic, {
    root: folder,
    serve: false,
    suppressWarning: true,
    cacheControl: false,
    setHeaders(reply, path) {
      // The names of what is built carry a hash of the content.
      const isHashed = path.startsWith(join(folder, 'assets'))
      reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
  const sendPage = (reply: FastifyReply) => {
    if (existsSync(page)) return reply.sendFile(PAGE)
    throw new Problem(404, { detail: `The console is not built yet: ${REMEDY}` })
  }
  app.get('/console', { schema: { hide: true } }, (_request, reply) => sendPage(reply))
  app.get<{ Params: { '*': string } }>(
    '/console/*',
    { schema: { hide: true } },
    ({ params }, reply) => {
      const path = params['*']
      if (!isFile(path)) return sendPage(reply)
      const file = join(folder, path)
      // Not looked for outside of it: the answer would tell whether there is such a file.
      if (file.startsWith(join(folder, sep)) && existsSync(file)) return reply.sendFile(path)
      // Not with the page, which would be taken for a script.
      throw new Problem(404, { detail: 'The console has no such file' })
    },
  )
})

/** What is built lies in `assets`, and beside the page; the page's own paths have no dot on their first level. */
function isFile(path: string): boolean {
  return path.startsWith('assets/') || /^[^/]+\.[a-z]+$/.test(path)
}
