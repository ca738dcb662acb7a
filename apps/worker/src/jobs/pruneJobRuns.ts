import { Prisma } from '@roundsman/db'
import type { pruneJobRuns as job } from '@roundsman/jobs'
import { JobError } from '@roundsman/engine'
import {
  countRows,
  estimateRows,
  quoted,
  sweepHandler,
  type SweepHandler,
  type DueFinder,
  type SweptRows,
} from '@roundsman/sweep'

export interface RetentionOptions {
  /** How long runs that succeeded are kept, and the ledger. */
  days: number
  /** How long failed runs are kept. */
  failedDays: number
  /** How long it is kept what people did about jobs. */
  actionDays: number
}

const BATCH_SIZE = 1_000
const DAY_MS = 86_400_000

/** What is removed, and under which name it is counted. */
interface OldRows extends SweptRows {
  readonly count: 'succeeded' | 'failed' | 'ticks' | 'actions'
  readonly cutoff: Date
  readonly finders: readonly [DueFinder]
}

type AllOldRows = readonly [succeeded: OldRows, failed: OldRows, ticks: OldRows, actions: OldRows]

/**
 * A schedule goes on from its cursor, so no tick is needed for the next one. A run that has not ended is
 * never removed, however old it is.
 */
export function pruneJobRuns(options: RetentionOptions): SweepHandler<typeof job> {
  return sweepHandler<typeof job, AllOldRows>(
    (now) => oldRowsAt(now, options),
    async ({ batch, guard }, all) => {
      await guard({
        total: async (tx, upTo) => {
          const countOf = (table: string) =>
            upTo === undefined
              ? estimateRows(tx, table)
              : countRows(tx, table, Prisma.sql`true`, upTo)
          return (await countOf('JobRun')) + (await countOf('JobTick'))
        },
        due: async (tx, limit) => {
          let due = 0
          for (const { table, finders } of all) {
            due += await countRows(tx, table, finders[0].where, limit - due)
          }
          return due
        },
      })
      for (const rows of all) {
        // The next batch goes on where the last one ended, so that what is kept is passed over once and not each time.
        let position: string | null = null
        for (let isOver = false; !isOver;) {
          let last: string | null = null
          await batch(async (tx) => {
            const [removed] = await tx.$queryRaw<RemovedRow[]>(removeQuery(rows, position))
            last = removed?.last ?? null
            return { [rows.count]: removed?.count ?? 0 }
          })
          isOver = last === null
          position = last
        }
      }
      const [succeeded, failed, , actions] = all
      return {
        cutoff: succeeded.cutoff.toISOString(),
        failedCutoff: failed.cutoff.toISOString(),
        actionsCutoff: actions.cutoff.toISOString(),
      }
    },
  )
}

function oldRowsAt(now: Date, { days, failedDays, actionDays }: RetentionOptions): AllOldRows {
  if (days < 1 || failedDays < 1 || actionDays < 1) {
    throw new JobError('retention_invalid', 'Records have to be kept for a day at least', {
      retryable: false,
    })
  }
  const daysAgo = (count: number) => new Date(now.getTime() - count * DAY_MS)
  const [cutoff, failedCutoff] = [daysAgo(days), daysAgo(failedDays)]
  // What failed by its code, of which there is an index.
  return [
    oldRows('succeeded', 'JobRun', 'startedAt', cutoff, Prisma.sql`"status" = 'success' and`),
    oldRows('failed', 'JobRun', 'startedAt', failedCutoff, Prisma.sql`"errorCode" is not null and`),
    oldRows('ticks', 'JobTick', 'scheduledFor', cutoff, Prisma.empty),
    oldRows('actions', 'JobAction', 'at', daysAgo(actionDays), Prisma.empty),
  ]
}

function oldRows(
  count: OldRows['count'],
  table: string,
  key: string,
  cutoff: Date,
  condition: Prisma.Sql,
): OldRows {
  const where = Prisma.sql`${condition} ${quoted(key)} < ${cutoff.toISOString()}::timestamptz`
  return { count, table, cutoff, finders: [{ where, key, keyType: 'timestamptz' }] }
}

interface RemovedRow {
  count: number
  /** The key of the last one, with all its digits. */
  last: string | null
}

function removeQuery(
  { table, finders: [{ where, key }] }: OldRows,
  position: string | null,
): Prisma.Sql {
  const from =
    position === null ? Prisma.empty : Prisma.sql`and ${quoted(key)} >= ${position}::timestamptz`
  return Prisma.sql`
    with removed as (
      delete from ${quoted(table)}
      where ctid = any(array(
        select ctid from ${quoted(table)} where ${where} ${from}
        order by ${quoted(key)} limit ${BATCH_SIZE} for update skip locked
      ))
      returning ${quoted(key)} as "key"
    )
    select count(*)::int as "count", max("key")::text as "last" from removed`
}
