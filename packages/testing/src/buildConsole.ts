import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../..')
const CONSOLE = join(WORKSPACE_ROOT, 'apps/console')
const BUILDS = join(CONSOLE, 'node_modules/.cache/builds')
const PARTS = ['src', 'public', 'index.html', 'package.json', 'vite.config.ts'] as const

/**
 * The build of the console as its sources are now, made when there is none yet. Not that of `pnpm build`: it may be
 * missing or stale. Returns the folder.
 */
export async function buildConsole(): Promise<string> {
  const folder = join(BUILDS, await fingerprint())
  if (existsSync(folder)) return folder
  await mkdir(BUILDS, { recursive: true })
  // Moved as a whole: a test file that builds at the same time finds all of it, or nothing.
  const draft = await mkdtemp(join(BUILDS, 'draft-'))
  try {
    const vite = join(CONSOLE, 'node_modules/vite/bin/vite.js')
    const { NODE_ENV: _, ...env } = process.env
    await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', draft], {
      cwd: CONSOLE,
      env,
    })
    await rename(draft, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return folder
}

/** Of everything that goes into the build; the lock file stands for what others wrote. */
async function fingerprint(): Promise<string> {
  const files = [join(WORKSPACE_ROOT, 'pnpm-lock.yaml')]
  for (const part of PARTS) files.push(...(await listFiles(join(CONSOLE, part))))
  const hash = createHash('sha256')
  for (const file of files.toSorted()) hash.update(file).update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}

async function listFiles(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => null)
  if (entries === null) return [path]
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
