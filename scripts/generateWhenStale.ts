import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const WORKSPACE_ROOT = join(import.meta.dirname, '..')
const GENERATED = join(WORKSPACE_ROOT, 'packages/db/src/generated/client.ts')
const GENERATOR = join(WORKSPACE_ROOT, 'packages/db/generate.mjs')
/** Names Prisma's version, on which the generated code depends. */
const MANIFEST = join(WORKSPACE_ROOT, 'packages/db/package.json')
const PRISMA = join(WORKSPACE_ROOT, 'packages/db/node_modules/prisma/package.json')
const SCHEMA_DIR = join(WORKSPACE_ROOT, 'prisma/schema')

export interface GenerateOptions {
  signal?: AbortSignal
  /** Called with the work if there is any, for callers who tell that it takes a while. */
  around?: (work: () => Promise<void>) => Promise<void>
}

/**
 * Generates the Prisma client unless it is newer than all that it is made from. turbo would compare contents, which
 * takes longer than most commands take to run.
 */
export async function generateWhenStale(options: GenerateOptions = {}): Promise<void> {
  const { signal, around = (work) => work() } = options
  const schemaFiles = (await readdir(SCHEMA_DIR)).map((name) => join(SCHEMA_DIR, name))
  const sources = await Promise.all([GENERATOR, MANIFEST, ...schemaFiles].map(modifiedAt))
  const generatedAt = await modifiedAt(GENERATED)
  if (generatedAt > Math.max(...sources)) return
  // A production install can't generate, and copying it may have changed all times.
  if (generatedAt > 0 && (await modifiedAt(PRISMA)) === 0) return
  await around(() => generate(signal))
}

async function generate(signal?: AbortSignal): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [GENERATOR], signal ? { signal } : {})
  } catch (error) {
    signal?.throwIfAborted()
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    const output = `${stdout ?? ''}${stderr ?? ''}`.trim()
    throw new Error(`The Prisma client could not be generated:\n${output}`, { cause: error })
  }
}

async function modifiedAt(path: string): Promise<number> {
  const stats = await stat(path).catch(() => undefined)
  return stats?.mtimeMs ?? 0
}
