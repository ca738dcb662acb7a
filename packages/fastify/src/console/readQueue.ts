import {
  countQueue,
  countRunsByMinute,
  type MinuteOfRuns,
  type Reader,
} from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { ConsoleQueue } from '../contract.ts'

const MINUTE_MS = 60_000
const MINUTES = 60

export async function readQueue(
  reader: Reader,
  jobs: readonly Job[],
  now: Date,
): Promise<ConsoleQueue> {
  const current = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS
  const from = new Date(current - (MINUTES - 1) * MINUTE_MS)
  const [counts, ended] = await Promise.all([
    countQueue(
      reader,
      jobs.map(({ name }) => name),
    ),
    countRunsByMinute(reader, from),
  ])
  const sum = (rows: readonly MinuteOfRuns[], of: 'success' | 'failed') =>
    rows.reduce((total, row) => total + row[of], 0)
  const byName = Map.groupBy(ended, ({ name }) => name)
  const byMinute = Map.groupBy(ended, ({ minute }) => Date.parse(minute))
  return {
    generatedAt: now.toISOString(),
    jobs: counts.map(({ name, waiting, delayed, active, deadLetters, oldestWaitingAt }) => ({
      name,
      waiting,
      delayed,
      active,
      deadLetters,
      oldestWaitingAt,
      completedLastHour: sum(byName.get(name) ?? [], 'success'),
      failedLastHour: sum(byName.get(name) ?? [], 'failed'),
    })),
    throughput: Array.from({ length: MINUTES }, (_, index) => {
      const minute = from.getTime() + index * MINUTE_MS
      const rows = byMinute.get(minute) ?? []
      return {
        from: new Date(minute).toISOString(),
        ended: sum(rows, 'success') + sum(rows, 'failed'),
      }
    }),
  }
}
