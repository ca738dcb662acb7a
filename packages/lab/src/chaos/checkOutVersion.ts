import { execFile } from 'node:child_process'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { WORKSPACE_ROOT } from '../startProcess.ts'

const run = promisify(execFile)
const ENTRY = 'packages/lab/src/chaos/workerProcess.ts'
const TIMEOUT_MS = 300_000

/**
 * Puts another version of this repository beside it, ready to run, and returns the path of the suite's worker process in
 * it. A version that is there is used again: a commit does not change.
 * @throws Error when this clone does not have the commit
 */
export async function checkOutVersion(commit: string): Promise<string> {
  const hash = await resolveCommit(commit)
  const versions = join(WORKSPACE_ROOT, '.data/versions')
  const folder = join(versions, hash)
  const made = await findEntry(folder)
  if (made !== undefined) return made
  const unfinished = `${folder}.${process.pid}`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  try {
    const archive = join(unfinished, 'version.tar')
    await run('git', ['archive', '--format=tar', `--output=${archive}`, hash], {
      cwd: WORKSPACE_ROOT,
      timeout: TIMEOUT_MS,
    })
    await run('tar', ['-xf', archive, '-C', unfinished], { timeout: TIMEOUT_MS })
    await rm(archive)
    await install(unfinished)
    // Another process was faster; its folder is as good as ours.
    await rename(unfinished, folder).catch(async (error: unknown) => {
      if ((await findEntry(folder)) === undefined) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  const entry = await findEntry(folder)
  if (entry === undefined) throw new Error(`${commit} has no worker process of this suite`)
  return entry
}

async function findEntry(folder: string): Promise<string | undefined> {
  const entry = join(folder, ENTRY)
  const isThere = await stat(entry).then(
    () => true,
    () => false,
  )
  return isThere ? entry : undefined
}

async function resolveCommit(commit: string): Promise<string> {
  try {
    const { stdout } = await run('git', ['rev-parse', '--verify', `${commit}^{commit}`], {
      cwd: WORKSPACE_ROOT,
    })
    return stdout.trim()
  } catch (cause) {
    throw new Error(
      `There is no commit ${commit} in this clone. With a shallow one, fetch the rest: git fetch --unshallow`,
      { cause },
    )
  }
}

/**
 * Installs with the pnpm that runs us, or with npx's. Without a lockfile of another version, it resolves as it was then.
 */
async function install(folder: string): Promise<void> {
  const launcher = process.env['npm_execpath'] ?? ''
  const pnpm = launcher.includes('pnpm')
    ? /\.[cm]?js$/.test(launcher)
      ? [process.execPath, launcher]
      : [launcher]
    : ['npx', '--yes', '--prefer-offline', 'pnpm@12']
  const [program = '', ...args] = pnpm
  const options = { cwd: folder, timeout: TIMEOUT_MS, env: { ...process.env, CI: 'true' } }
  await run(program, [...args, 'install', '--frozen-lockfile', '--prefer-offline'], options)
  await run(process.execPath, ['packages/db/generate.mjs'], options)
}
