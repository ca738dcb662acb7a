import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import type { FastifyPluginAsync, FastifyReply, FastifySchema } from 'fastify'
import type { ConsoleSettings } from '../contract.ts'
import { Problem } from '../http/problem.ts'

/** Where the console's build lies, seen from the source as well as from what is built of it. */
const BUILD = join(import.meta.dirname, '../../dist/browser')
const PAGE = 'index.html'
const REMEDY = 'pnpm build'

/** Of what a build is made of; anything else is handed out as bytes. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
}

/** From a document of the API. */
const HIDDEN = { hide: true } as FastifySchema

export interface ConsoleFilesOptions {
  /** Where it lies on the host, such as `/console`. */
  path: string
  settings: ConsoleSettings
  /** Where the build lies. */
  folder?: string | undefined
}

/**
 * The console, a single page: every path below its own that cannot be a file of its build is answered with the
 * page, which reads the path itself. Files are looked for when they are asked for: in development they are built
 * again while this runs, and get new names.
 */
export const consoleFiles: FastifyPluginAsync<ConsoleFilesOptions> = async (app, options) => {
  const { path: root, settings, folder = BUILD } = options
  const page = join(folder, PAGE)
  if (!existsSync(page)) app.log.warn({ remedy: REMEDY }, 'the console is not built yet')

  async function sendPage(reply: FastifyReply): Promise<FastifyReply> {
    if (existsSync(page)) {
      const text = settle(await readFile(page, 'utf8'), settings)
      return reply.header('cache-control', 'no-cache').type(contentTypeOf(PAGE)).send(text)
    }
    throw new Problem(404, { detail: `The console is not built yet: ${REMEDY}` })
  }

  app.get(root === '' ? '/' : root, { schema: HIDDEN }, (_request, reply) => sendPage(reply))
  app.get<{ Params: { '*': string } }>(
    `${root}/*`,
    { schema: HIDDEN },
    async ({ params }, reply) => {
      const path = params['*']
      if (!isFile(path)) return await sendPage(reply)
      const file = join(folder, path)
      // Not looked for outside of it: the answer would tell whether there is such a file.
      if (file.startsWith(join(folder, sep)) && existsSync(file)) {
        // The names of what is built carry a hash of the content.
        const isHashed = path.startsWith('assets/')
        return reply
          .header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
          .header('x-content-type-options', 'nosniff')
          .type(contentTypeOf(path))
          .send(await readFile(file))
      }
      // Not with the page, which would be taken for a script.
      throw new Problem(404, { detail: 'The console has no such file' })
    },
  )
}

/** What is built lies in `assets`, and beside the page; the page's own paths have no dot on their first level. */
function isFile(path: string): boolean {
  return path.startsWith('assets/') || /^[^/]+\.[a-z]+$/.test(path)
}

function contentTypeOf(path: string): string {
  return CONTENT_TYPES[extname(path)] ?? 'application/octet-stream'
}

/** Its files are named from beside the page, which is asked for at addresses of any depth. */
function settle(page: string, { base, api, hasSessions, loginUrl }: ConsoleSettings): string {
  const attributes = Object.entries({ base, api, sessions: String(hasSessions), login: loginUrl })
    .map(([name, value]) => ` data-${name}="${escape(value)}"`)
    .join('')
  return page
    .replaceAll(/ (href|src)="\.\//g, (_, name: string) => ` ${name}="${escape(base)}/`)
    .replace(/<meta name="roundsman"[^>]*>/, () => `<meta name="roundsman"${attributes} />`)
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
