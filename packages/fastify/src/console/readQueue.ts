import {
  countHeedlessWorkers,
  countQueue,
  jobsWithoutWorker,
  readPausedQueues,
  type QueueCounts,
  type Reader,
} from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { ConsoleQueue } from '../contract.ts'
import { sumOutcomes, type SpanCounts } from './createSpanCounts.ts'
import type { QueueHistory } from './createQueueHistory.ts'

export interface QueueSources {
  countMinutes: SpanCounts
  history: QueueHistory
}

export async function readQueue(
  reader: Reader,
  jobs: readonly Job[],
  now: Date,
  { countMinutes, history }: QueueSources,
): Promise<ConsoleQueue> {
  const names = jobs.map(({ name }) => name)
  const [counts, minutes, paused, untaken, heedlessWorkers] = await Promise.all([
    countQueue(reader, names),
    countMinutes(now),
    readPausedQueues(reader),
    jobsWithoutWorker(reader, names),
    countHeedlessWorkers(reader),
  ])
  // When no worker lives at all, the page says that instead.
  const isAnyAlive = untaken.length < names.length
  const pauseOf = (name: string) => {
    const pause = paused.get(name)
    return pause ? { at: pause.pausedAt, by: pause.pausedBy, reason: pause.pauseReason } : null
  }
  const rowsOf = Map.groupBy(
    minutes.flatMap((minute) => minute.jobs),
    ({ name }) => name,
  )
  return {
    generatedAt: now.toISOString(),
    jobs: counts.map(({ name, waiting, delayed, active, deadLetters, oldestWaitingAt }) => {
      const { success, failed } = sumOutcomes(rowsOf.get(name) ?? [])
      return {
        name,
        waiting,
        delayed,
        active,
        deadLetters,
        oldestWaitingAt,
        queuePaused: pauseOf(name),
        isUntaken: isAnyAlive && untaken.includes(name),
        completedLastHour: success,
        failedLastHour: failed,
      }
    }),
    heedlessWorkers,
    throughput: minutes.map((minute) => ({
      from: minute.from.toISOString(),
      ...sumOutcomes(minute.jobs),
    })),
    history: [...history.read(now), momentOf(counts, now)],
  }
}

function momentOf(counts: readonly QueueCounts[], now: Date): ConsoleQueue['history'][number] {
  const oldest = counts.flatMap(({ oldestWaitingAt }) => oldestWaitingAt ?? []).toSorted()[0]
  return {
    at: now.toISOString(),
    ready: counts.reduce((sum, { waiting, delayed }) => sum + waiting - delayed, 0),
    oldestMs: oldest === undefined ? 0 : Math.max(0, now.getTime() - Date.parse(oldest)),
  }
}
