import type { PrismaClient } from '@roundsman/db'
import { countQueue } from '@roundsman/engine/client'
import type { Job } from '@roundsman/engine'
import type { ConsoleQueue } from './consoleContract.ts'

const MINUTE_MS = 60_000
const MINUTES = 60

export async function readQueue(
  prisma: PrismaClient,
  jobs: readonly Job[],
  now: Date,
): Promise<ConsoleQueue> {
  const current = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS
  const from = new Date(current - (MINUTES - 1) * MINUTE_MS)
  const [counts, ended] = await Promise.all([
    countQueue(
      prisma,
      jobs.map(({ name }) => name),
    ),
    prisma.$queryRaw<{ name: string; minute: Date; success: number; failed: number }[]>`
      select "name", date_trunc('minute', "startedAt") as "minute",
             (count(*) filter (where "status" = 'success'))::int as "success",
             (count(*) filter (where "status" = 'failed'))::int as "failed"
      from "JobRun" where "startedAt" >= ${from.toISOString()}::timestamptz and "status" <> 'running'
      group by 1, 2`,
  ])
  const sum = (rows: typeof ended, of: 'success' | 'failed') =>
    rows.reduce((total, row) => total + row[of], 0)
  const byName = Map.groupBy(ended, ({ name }) => name)
  const byMinute = Map.groupBy(ended, ({ minute }) => minute.getTime())
  return {
    generatedAt: now.toISOString(),
    jobs: counts.map(({ name, waiting, delayed, active, deadLetters, oldestWaitingAt }) => ({
      name,
      waiting,
      delayed,
      active,
      deadLetters,
      oldestWaitingAt: oldestWaitingAt?.toISOString() ?? null,
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
