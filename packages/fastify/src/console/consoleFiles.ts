import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import type { FastifyPluginAsync, FastifyReply, FastifySchema } from 'fastify'
import type { ConsoleSettings } from '../contract.ts'
import { Problem } from '../http/problem.ts'

/** The folder of the console's build, as seen from `src` as well as from `dist`. */
const BUILD = join(import.meta.dirname, '../../dist/browser')
const PAGE = 'index.html'
const REMEDY = 'pnpm build'

/** The files of a build. Anything else is sent as bytes. */
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

/** Keeps the routes out of an OpenAPI document. */
const HIDDEN = { hide: true } as FastifySchema

export interface ConsoleFilesOptions {
  /** The console's path on the host, such as `/console`. */
  path: string
  settings: ConsoleSettings
  /** The folder of the build. Default: in this package. */
  folder?: string | undefined
}

/**
 * Serves the console, a single page. A path that cannot be a file of the build gets the page, which reads the path itself.
 * Each request looks for its file anew: in development the build changes names while this runs.
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
      // A path outside of the folder is not looked up: the answer would tell whether there is such a file.
      if (file.startsWith(join(folder, sep)) && (await isThere(file))) {
        // Names in `assets` contain a hash of the content.
        const isHashed = path.startsWith('assets/')
        return reply
          .header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
          .header('x-content-type-options', 'nosniff')
          .type(contentTypeOf(path))
          .send(await readFile(file))
      }
      // Not with the page, which the browser would take for a script.
      throw new Problem(404, { detail: 'The console has no file at this address' })
    },
  )
}

/** The build's files are in `assets` or beside the page. The page's own paths have no dot on their first level. */
function isFile(path: string): boolean {
  return path.startsWith('assets/') || /^[^/]+\.[a-z]+$/.test(path)
}

/** Whether it is there, and no folder. */
async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    (found) => found.isFile(),
    () => false,
  )
}

function contentTypeOf(path: string): string {
  return CONTENT_TYPES[extname(path)] ?? 'application/octet-stream'
}

/** Writes the settings into the page and makes its files' addresses absolute: the page is asked for at any depth. */
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
