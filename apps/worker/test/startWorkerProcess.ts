import { join } from 'node:path'
import { spawnProcess, type SpawnedProcess } from '@roundsman/testing'
import { onTestFinished } from 'vitest'
import type { WorkerDatabase } from './openWorkerDatabase.ts'

export const MAIN = join(import.meta.dirname, '../src/main.ts')

/** A log line, parsed. */
export type LogLine = { msg: string; [field: string]: unknown }

export interface WorkerProcess extends SpawnedProcess {
  /** Of its health server. */
  url: string
  /** The first log line with this message, past or to come. */
  waitForMessage(message: string, options?: { timeoutMs?: number }): Promise<LogLine>
  /** All log lines with this message, so far. */
  messages(message: string): LogLine[]
  /** The status code of a route of its health server. */
  status(path: string): Promise<number>
}

/** A schedule that is due no sooner than these tests are over. */
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

/** The worker as a process of its own, as far as its health server listens. The next test does not find it at work. */
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
  const { url } = (await waitForMessage('worker health listening')) as { msg: string; url: string }
  return {
    ...spawned,
    url,
    waitForMessage,
    messages: (message) =>
      spawned.stdout
        .map((line) => JSON.parse(line) as LogLine)
        .filter(({ msg }) => msg === message),
    status: async (path) => (await fetch(`${url}${path}`)).status,
  }
}
