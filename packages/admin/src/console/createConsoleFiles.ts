import { readFile } from 'node:fs/promises'
import { extname, join, sep } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { ConsoleSettings } from '../contract.ts'
import { answerText, type Answer } from '../http/answer.ts'
import { Problem } from '../http/problem.ts'

const PAGE = 'index.html'

/** The types of a build's files. Any other file is sent as bytes. */
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

/**
 * Serves the console, a single page. A path that cannot be a file of the build gets the page, which reads the path itself.
 * Without a folder, the files come from a module of this package, which bundlers follow.
 */
export function createConsoleFiles(settings: ConsoleSettings, folder: string | undefined) {
  return async (path: string, headers: Headers): Promise<Answer> => {
    const name = isFile(path) ? path : PAGE
    const found = await findFile(name, folder)
    if (name === PAGE) {
      if (found === null)
        throw new Problem(404, { detail: 'The console is not built yet: pnpm build' })
      const text = settle((await unzip(found)).toString(), settings)
      return answerText(200, contentTypeOf(PAGE), text, { 'cache-control': 'no-cache' })
    }
    // Not the page, which the browser would run as a script.
    if (found === null)
      throw new Problem(404, { detail: 'The console has no file at this address' })
    const takesZipped = found.isZipped && /\bgzip\b/.test(headers.get('accept-encoding') ?? '')
    return answerText(200, contentTypeOf(path), takesZipped ? found.bytes : await unzip(found), {
      // Names in `assets` contain a hash of the content.
      'cache-control': path.startsWith('assets/')
        ? 'public, max-age=31536000, immutable'
        : 'no-cache',
      ...(found.isZipped && { vary: 'accept-encoding' }),
      ...(takesZipped && { 'content-encoding': 'gzip' }),
    })
  }
}

interface FoundFile {
  bytes: Buffer<ArrayBuffer>
  isZipped: boolean
}

async function findFile(name: string, folder: string | undefined): Promise<FoundFile | null> {
  if (folder === undefined) {
    const { embeddedFiles } = await import('./embeddedFiles.ts')
    if (embeddedFiles !== null) {
      const text = Object.hasOwn(embeddedFiles, name) ? embeddedFiles[name] : undefined
      return text === undefined ? null : { bytes: Buffer.from(text, 'base64'), isZipped: true }
    }
  }
  // The folder of this repository's build, relative to both `src` and `dist`.
  const from = folder ?? join(import.meta.dirname, '../../dist/browser')
  const file = join(from, name)
  // A path outside of the folder is not looked up: the answer would reveal whether the file exists.
  if (!file.startsWith(join(from, sep))) return null
  // Each request reads the file: in development the build changes names while this runs.
  const bytes = await readFile(file).catch(() => null)
  return bytes && { bytes: Buffer.from(bytes), isZipped: false }
}

async function unzip({ bytes, isZipped }: FoundFile): Promise<Buffer<ArrayBuffer>> {
  return isZipped ? Buffer.from(await promisify(gunzip)(bytes)) : bytes
}

/** The build's files are in `assets` or beside the page. The page's own paths have no dot in their first part. */
function isFile(path: string): boolean {
  return path.startsWith('assets/') || /^[^/]+\.[a-z]+$/.test(path)
}

function contentTypeOf(path: string): string {
  return CONTENT_TYPES[extname(path)] ?? 'application/octet-stream'
}
/** Writes the settings into the page and makes its files' addresses absolute, since the page is served at any depth. */
function settle(page: string, settings: ConsoleSettings): string {
  const { base, api, hasSessions, loginUrl: login, traceUrl: trace } = settings
  const attributes = Object.entries({ base, api, sessions: String(hasSessions), login, trace })
    .map(([name, value]) => ` data-${name}="${escape(value)}"`)
    .join('')
  return page
    .replaceAll(/ (href|src)="\.\//g, (_, name: string) => ` ${name}="${escape(base)}/`)
    .replace(/<meta name="roundsman"[^>]*>/, () => `<meta name="roundsman"${attributes} />`)
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}
