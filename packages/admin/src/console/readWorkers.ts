import { findWorker, listLanesInUse, listWorkerRuns } from '@roundsman/engine/internal'
import { listWorkers, type ListedWorker, type JobsReader } from '@roundsman/engine/client'
import type { ConsoleWorkerDetail, ConsoleWorkers } from '../contract.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Workers' clocks disagree. */
const SLACK_MS = MINUTE_MS
/** How long after the instant that somebody looks at the hour ends. */
const AFTER_MS = 5 * MINUTE_MS

export async function readWorkers(reader: JobsReader, now: Date): Promise<ConsoleWorkers> {
  const [workers, lanes] = await Promise.all([listWorkers(reader), listLanesInUse(reader)])
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => ({
      ...worker,
      running: lanes
        .filter(({ workerId }) => workerId === worker.id)
        .map(({ name, count, oldestStartedAt }) => ({ name, count, oldestStartedAt }))
        .toSorted((one, other) => other.count - one.count),
    })),
  }
}

/**
 * The last hour of a worker, up to its last sign of life when it is gone. For a worker that left no row, the hour up to a
 * little after `at`, or null without `at`.
 */
export async function readWorkerDetail(
  reader: JobsReader,
  id: string,
  now: Date,
  at: Date | undefined,
): Promise<ConsoleWorkerDetail | null> {
  const worker = await findWorker(reader, id)
  const lastMs = worker === null ? at && at.getTime() + AFTER_MS : lastSeenMs(worker, now)
  if (lastMs === undefined) return null
  const until = new Date(Math.min(lastMs, now.getTime()))
  const startedMs = worker ? Date.parse(worker.startedAt) - SLACK_MS : 0
  const from = new Date(Math.max(until.getTime() - HOUR_MS, startedMs))
  const to = new Date(until.getTime() + SLACK_MS)
  const { runs, since } = await listWorkerRuns(reader, { workerId: id, from, to })
  return { generatedAt: now.toISOString(), worker, runs, since, until: until.toISOString() }
}

function lastSeenMs({ isAlive, lastSignAt }: ListedWorker, now: Date): number {
  return isAlive ? now.getTime() : Date.parse(lastSignAt)
}
