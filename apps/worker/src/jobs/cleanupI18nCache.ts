import { Prisma } from '@roundsman/db'
import type { cleanupI18nCache as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/runtime/contract'
import { sweep } from '../sweep/sweep.ts'
import type { SweepTarget } from '../sweep/sweepTarget.ts'
import type { Handler } from './handler.ts'

const DAY_MS = 86_400_000

export function cleanupI18nCache({ maxAgeDays }: { maxAgeDays: number }): Handler<typeof job> {
  return async (context) => {
    if (!(maxAgeDays > 0)) {
      throw new JobError('cutoff_invalid', `Entries can't be kept for ${maxAgeDays} days`, {
        retryable: false,
      })
    }
    const cutoff = new Date(context.now().getTime() - maxAgeDays * DAY_MS)
    const findings = await sweep(context, oldEntries(cutoff))
    return { ...findings, cutoff: cutoff.toISOString() }
  }
}

export function oldEntries(cutoff: Date): SweepTarget {
  // As text with its offset: the driver would send a Date without one, and the session's time zone would
  // be taken for it.
  const due = Prisma.sql`"createdAt" < ${cutoff.toISOString()}::timestamptz`
  return {
    table: 'I18nCacheEntry',
    date: 'createdAt',
    cutoff,
    due,
    finders: [{ where: due, key: 'createdAt', keyType: 'timestamptz' }],
    nothing: { cleaned: 0 },
    change: async (tx, where) => ({
      cleaned: await tx.$executeRaw`delete from "I18nCacheEntry" where ${where}`,
    }),
  }
}
