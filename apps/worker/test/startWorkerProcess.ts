import { join } from 'node:path'
import { makeEnvironment, spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { onTestFinished } from 'vitest'
import { runWorker } from '../src/runWorker.ts'
import type { WorkerDatabase } from './openWorkerDatabase.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')

/** A log line, parsed. */
export type LogLine = { msg: string; [field: string]: unknown }

export interface StartedWorker {
  /** The address of its health server. */
  url: string
  /** The first log line with this message, past or to come. */
  waitForMessage(message: string, options?: { timeoutMs?: number }): Promise<LogLine>
  /** All log lines with this message, so far. */
  messages(message: string): LogLine[]
  /** The status code of a route of its health server. */
  status(path: string): Promise<number>
}

export interface WorkerProcess extends SpawnedProcess, StartedWorker {}

export interface WorkerHere extends StartedWorker {
  /** All that it has logged so far. */
  lines: string[]
  /** Stops it, and resolves to what its exit code would be. */
  stop(): Promise<number>
}

/** A schedule that is not due before these tests are over. */
const NOT_NOW = '0 0 1 1 *'

/** The variables of a worker that starts and does nothing by itself; a test adds its own. */
export function workerEnvironment(
  database: Pick<WorkerDatabase, 'url'> | null,
  extra: Record<string, string | undefined> = {},
): Record<string, string | undefined> {
  return {
    NODE_ENV: undefined,
    HOST: undefined,
    LOG_LEVEL: undefined,
    JOBS_ENABLED: undefined,
    WORKER_CONCURRENCY: undefined,
    DRAIN_TIMEOUT_MS: undefined,
    I18N_CACHE_MAX_AGE_DAYS: undefined,
    ROUNDSMAN_SUPERVISED: undefined,
    SMTP_URL: undefined,
    MAIL_FROM: undefined,
    SMTP_MAX_PER_SECOND: undefined,
    WORKER_PORT: '0',
    DATABASE_URL: database?.url,
    CLEANUP_PREVIEW_SESSIONS_CRON: NOT_NOW,
    CLEANUP_I18N_CACHE_CRON: NOT_NOW,
    ...extra,
  }
}

/** Starts the worker as a process of its own, until its health server listens. It ends with the test. */
export async function startWorkerProcess(
  database: Pick<WorkerDatabase, 'url'> | null,
  extra: Record<string, string | undefined> = {},
): Promise<WorkerProcess> {
  const spawned = spawnProcess(MAIN, { env: workerEnvironment(database, extra) })
  onTestFinished(async () => {
    await spawned.kill('SIGKILL')
  })
  const waitForMessage = async (message: string, options?: { timeoutMs?: number }) =>
    JSON.parse(await spawned.waitForLine(`"msg":"${message}"`, options)) as LogLine
  return { ...spawned, ...(await describeStarted(spawned.stdout, waitForMessage)) }
}

/** Runs the same program in this process, which starts in a fraction of the time, for tests that need no process. */
export async function startWorkerHere(
  database: Pick<WorkerDatabase, 'url'>,
  extra: Record<string, string | undefined> = {},
): Promise<WorkerHere> {
  const lines: string[] = []
  const wish = new AbortController()
  const running = runWorker({
    variables: makeEnvironment(workerEnvironment(database, extra)),
    stderr: { write: (text) => lines.push(text) },
    logDestination: { write: (line) => void lines.push(line) },
    listenForStop: () => wish.signal,
  })
  const stop = () => {
    wish.abort('the end of the test')
    return running
  }
  onTestFinished(async () => {
    await stop()
  })
  const waitForMessage = (message: string, options?: { timeoutMs?: number }) =>
    waitFor(
      () => {
        const found = lines.find((line) => line.includes(`"msg":"${message}"`))
        return found !== undefined && (JSON.parse(found) as LogLine)
      },
      { message, ...options },
    )
  return { lines, stop, ...(await describeStarted(lines, waitForMessage)) }
}

async function describeStarted(
  lines: string[],
  waitForMessage: StartedWorker['waitForMessage'],
): Promise<StartedWorker> {
  const { url } = (await waitForMessage('worker health listening')) as { msg: string; url: string }
  return {
    url,
    waitForMessage,
    messages: (message) =>
      lines.map((line) => JSON.parse(line) as LogLine).filter(({ msg }) => msg === message),
    status: async (path) => (await fetch(`${url}${path}`)).status,
  }
}
