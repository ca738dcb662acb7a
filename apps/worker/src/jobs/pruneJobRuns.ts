import { Prisma } from '@roundsman/db'
import type { pruneJobRuns as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/runtime/contract'
import type { Handler } from './handler.ts'

export interface RetentionOptions {
  /** How long runs that succeeded are kept, and the ledger. */
  days: number
  /** How long failed runs are kept. */
  failedDays: number
}

const BATCH_SIZE = 1_000
const DAY_MS = 86_400_000

/**
 * A schedule goes on from its cursor, so no tick is needed for the next one. A run that has not ended is
 * never removed, however old it is.
 */
export function pruneJobRuns({ days, failedDays }: RetentionOptions): Handler<typeof job> {
  return async ({ batch, now }) => {
    if (days < 1 || failedDays < 1) {
      throw new JobError('retention_invalid', 'Runs have to be kept for a day at least', {
        retryable: false,
      })
    }
    const daysAgo = (count: number) => new Date(now().getTime() - count * DAY_MS)
    const cutoff = daysAgo(days)
    const failedCutoff = daysAgo(failedDays)
    await sweep('succeeded', removeRunsQuery('success', cutoff))
    await sweep('failed', removeRunsQuery('failed', failedCutoff))
    await sweep('ticks', removeTicksQuery(cutoff))
    return { cutoff: cutoff.toISOString(), failedCutoff: failedCutoff.toISOString() }

    async function sweep(what: string, query: Prisma.Sql): Promise<void> {
      let removed: number | undefined
      do {
        ;({ [what]: removed } = await batch(async (tx) => ({
          [what]: await tx.$executeRaw(query),
        })))
      } while (removed)
    }
  }
}

function removeRunsQuery(status: 'success' | 'failed', cutoff: Date): Prisma.Sql {
  // The status as a literal: PostgreSQL uses a partial index only if it sees the value when it plans.
  const ended = status === 'success' ? Prisma.sql`'success'` : Prisma.sql`'failed'`
  return Prisma.sql`
    delete from "JobRun"
    where ctid = any(array(
      select ctid from "JobRun"
      where "status" = ${ended} and "startedAt" < ${cutoff.toISOString()}::timestamptz
      order by "startedAt" limit ${BATCH_SIZE} for update skip locked
    ))`
}

function removeTicksQuery(cutoff: Date): Prisma.Sql {
  return Prisma.sql`
    delete from "JobTick"
    where ctid = any(array(
      select ctid from "JobTick" where "scheduledFor" < ${cutoff.toISOString()}::timestamptz
      order by "scheduledFor" limit ${BATCH_SIZE} for update skip locked
    ))`
}
