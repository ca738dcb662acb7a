import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeServerFolder, spawnProcess, type SpawnedProcess } from '@roundsman/testing'
import { listDescendants, postgresPid } from './processes.ts'
import { findFreePort } from '@roundsman/local-postgres'

export const WORKSPACE_ROOT = join(import.meta.dirname, '../..')

export interface StackPlace {
  dataDir: string
  port: number
  workerPort: number
  inboxPort: number
  /** Its path has a space in it, for code that builds command lines. */
  remove(): Promise<void>
}

export async function makePlace(): Promise<StackPlace> {
  const folder = await makeServerFolder('roundsman start-')
  return {
    dataDir: join(folder, 'data'),
    port: await findFreePort(),
    workerPort: await findFreePort(),
    inboxPort: await findFreePort(),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs what `pnpm start` runs, without pnpm, in a place of its own. */
export function spawnStart(
  place: StackPlace,
  env: Record<string, string | undefined> = {},
  args: string[] = [],
): SpawnedProcess {
  return spawnProcess(join(WORKSPACE_ROOT, 'scripts/start/main.ts'), {
    args,
    cwd: WORKSPACE_ROOT,
    env: { ...placeEnvironment(place), ...env },
  })
}

function placeEnvironment(place: StackPlace): Record<string, string | undefined> {
  return {
    DATA_DIR: place.dataDir,
    PORT: String(place.port),
    WORKER_PORT: String(place.workerPort),
    INBOX_PORT: String(place.inboxPort),
    SMTP_URL: undefined,
    DATABASE_URL: undefined,
    DEMO_DATA: undefined,
    // Without the demo's jobs, because tests count what runs.
    DEMO_JOBS: 'false',
    HOST: undefined,
    JOBS_ENABLED: undefined,
    JWT_SECRET: undefined,
    LOG_LEVEL: undefined,
    NODE_ENV: undefined,
    REPLIT_DEPLOYMENT: undefined,
  }
}

/** Waits until start has printed its box. */
export async function untilReady(start: SpawnedProcess): Promise<void> {
  await start.waitForLine('Ctrl-C stops everything', { timeoutMs: 90_000 })
}

/** Lists all processes of a start, PostgreSQL included. */
export async function processesOf(start: SpawnedProcess, place: StackPlace): Promise<number[]> {
  const postgres = await postgresPid(place.dataDir)
  return [...(await listDescendants(start.pid)), ...(postgres === undefined ? [] : [postgres])]
}

export interface VerifyResult {
  code: number
  stdout: string
  stderr: string
}

export function runVerify(env: NodeJS.ProcessEnv): Promise<VerifyResult> {
  const script = join(WORKSPACE_ROOT, 'scripts/verify.sh')
  return new Promise((resolve) => {
    execFile(
      '/bin/bash',
      [script],
      { env: { PATH: process.env['PATH'], ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
      },
    )
  })
}
