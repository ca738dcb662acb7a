import {
  countQueue,
  describeBacklog,
  jobsWithoutWorker,
  listBlockedKeys,
  listStoppedLimits,
  measureBacklog,
  readPausedQueues,
  withOtherJobs,
  type PausedQueue,
} from '@roundsman/engine/internal'
import { listWorkers, type JobsReader } from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { ConsoleQueue, ConsoleQueueJob } from '../contract.ts'
import { sumOutcomes, type SpanCounts } from './createSpanCounts.ts'

export async function readQueue(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
  countMinutes: SpanCounts,
): Promise<ConsoleQueue> {
  const catalogue = jobs.map(({ name }) => name)
  const names = await withOtherJobs(reader, catalogue)
  const [rows, keys, limits, pauses, minutes] = await Promise.all([
    readQueueJobs(reader, names, catalogue),
    listBlockedKeys(reader),
    listStoppedLimits(reader),
    readPausedQueues(reader),
    countMinutes(now),
  ])
  const untaken = rows.filter(({ isUntaken }) => isUntaken).map(({ name }) => name)
  const waiting = await measureBacklog(reader, names, keys)
  const backlog = describeBacklog(waiting, { pauses, keys, limits, untaken })
  const rowsOf = Map.groupBy(
    minutes.flatMap((minute) => minute.jobs),
    ({ name }) => name,
  )
  return {
    generatedAt: now.toISOString(),
    jobs: rows.map((row) => {
      const { success, failed, expired } = sumOutcomes(rowsOf.get(row.name) ?? [])
      return {
        ...row,
        backlog: backlog.find(({ name }) => name === row.name) ?? null,
        completedLastHour: success,
        failedLastHour: failed,
        expiredLastHour: expired,
      }
    }),
    throughput: minutes.map((minute) => ({
      from: minute.from.toISOString(),
      ...sumOutcomes(minute.jobs),
    })),
  }
}

/** The rows in the queue of the jobs `names`. */
export async function readQueueJobs(
  reader: JobsReader,
  names: readonly string[],
  catalogue: readonly string[],
): Promise<ConsoleQueueJob[]> {
  const [counts, pauses, untaken, workers] = await Promise.all([
    countQueue(reader, names),
    readPausedQueues(reader),
    jobsWithoutWorker(reader, names),
    listWorkers(reader),
  ])
  // If no worker lives, that is the problem to show.
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  return counts.map((row) => ({
    ...row,
    queuePaused: presentPause(pauses.get(row.name)),
    isUntaken: isAnyAlive && untaken.includes(row.name),
    isOrphaned: untaken.includes(row.name) && !catalogue.includes(row.name),
  }))
}

export function presentPause(pause: PausedQueue | undefined): ConsoleQueueJob['queuePaused'] {
  if (pause === undefined) return null
  return { at: pause.pausedAt, by: pause.pausedBy, reason: pause.pauseReason }
}
