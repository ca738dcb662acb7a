import type { cleanupI18nCache as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/engine'
import {
  execute,
  sql,
  sweep,
  sweepHandler,
  type SweepHandler,
  type SweepTarget,
} from '@roundsman/sweep'

const DAY_MS = 86_400_000

/** Makes the handler that removes translations which have been cached for longer than `maxAgeDays`. */
export function cleanupI18nCache(options: { maxAgeDays: number }): SweepHandler<typeof job> {
  return sweepHandler<typeof job, [SweepTarget]>(
    (now) => [oldEntries(cutoffAt(now, options.maxAgeDays))],
    async (context, [target]) => {
      const findings = await sweep(context, target)
      return { ...findings, cutoff: target.cutoff.toISOString() }
    },
  )
}

function cutoffAt(now: Date, maxAgeDays: number): Date {
  if (maxAgeDays > 0) return new Date(now.getTime() - maxAgeDays * DAY_MS)
  throw new JobError('cutoff_invalid', `Entries can't be kept for ${maxAgeDays} days`, {
    retryable: false,
  })
}

/** The entries from before the cut-off, and how to remove them. */
function oldEntries(cutoff: Date): SweepTarget {
  // As text with its offset: the driver sends a Date without one, and PostgreSQL would read it in the session's zone.
  const due = sql`"createdAt" < ${cutoff.toISOString()}::timestamptz`
  return {
    table: 'I18nCacheEntry',
    date: 'createdAt',
    cutoff,
    due,
    finders: [{ where: due, key: 'createdAt', keyType: 'timestamptz' }],
    nothing: { cleaned: 0 },
    change: async (tx, where) => ({
      cleaned: await execute(tx, sql`delete from "I18nCacheEntry" where ${where}`),
    }),
  }
}
