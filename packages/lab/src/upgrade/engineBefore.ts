import type pg from 'pg'
import { execFile } from 'node:child_process'
import { mkdir, realpath, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { WORKSPACE_ROOT } from '../startProcess.ts'

/** The last commit of version 0.2. */
const COMMIT = '44af15c6e82f22079166fea971d0bed34b0bbb5b'

/** What its engine depends on, and where this repository has that. */
const DEPENDENCIES = {
  engine: ['croner', 'node-cron', 'pg', 'uuid'],
  lab: ['pg-boss'],
} as const

/** Puts the engine of 0.2 into the folder, from the history of this repository. Returns the folder of its sources. */
export async function makeEngineBefore(folder: string): Promise<string> {
  const archive = join(folder, 'before.tar')
  const run = promisify(execFile)
  const files = ['packages/engine/package.json', 'packages/engine/src']
  await run('git', ['archive', '--output', archive, COMMIT, ...files], { cwd: WORKSPACE_ROOT })
  await run('tar', ['xf', archive, '-C', folder])
  for (const [owner, names] of Object.entries(DEPENDENCIES)) {
    for (const name of names) {
      const link = join(folder, 'packages/engine/node_modules', name)
      await mkdir(dirname(link), { recursive: true })
      await symlink(
        await realpath(join(WORKSPACE_ROOT, 'packages', owner, 'node_modules', name)),
        link,
      )
    }
  }
  return join(folder, 'packages/engine/src')
}

/** What is used of the engine of that version. */
interface Engine {
  defineJob(job: object): object
  migrate(options: object): Promise<unknown>
  createJobsClient(options: object): {
    start(): Promise<void>
    stop(): Promise<void>
    enqueue(pool: pg.Pool, job: object, payload: object, options?: object): Promise<unknown>
    enqueueMany(pool: pg.Pool, job: object, items: object[]): Promise<unknown>
  }
  createWorker(options: object): { start(): Promise<void> }
}

/** Loads the engine whose sources are in this folder. */
export async function importEngine(folder: string): Promise<Engine> {
  const entries = ['index.ts', 'client.ts', 'worker.ts', 'migrate.ts']
  const parts = entries.map(async (name) => (await import(join(folder, name))) as object)
  return Object.assign({}, ...(await Promise.all(parts))) as Engine
}
