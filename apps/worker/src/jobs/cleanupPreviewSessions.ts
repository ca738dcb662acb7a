import type { cleanupPreviewSessions as job } from '@roundsman/jobs'
import {
  queryRows,
  sql,
  sweep,
  sweepHandler,
  type Sql,
  type SweepHandler,
  type SweepTarget,
  type Transaction,
} from '@roundsman/sweep'

/**
 * Marks sessions that have ended as expired. One that is both past its time and revoked counts as revoked: somebody did
 * that to it.
 */
export const cleanupPreviewSessions: SweepHandler<typeof job> = sweepHandler<
  typeof job,
  [SweepTarget<CleanupCounts>]
>(
  (now) => [endedSessions(now)],
  (context, [target]) => sweep(context, target),
)

type CleanupCounts = { cleaned: number; expired: number; revoked: number }

/** The active sessions that are past their time or revoked, and how to mark them. */
export function endedSessions(cutoff: Date): SweepTarget<CleanupCounts> {
  // As text with its offset: the driver sends a Date without one, and PostgreSQL would read it in the session's zone.
  const isPast = sql`"expiresAt" < ${cutoff.toISOString()}::timestamptz`
  return {
    table: 'PreviewSession',
    date: 'expiresAt',
    cutoff,
    due: sql`"status" = 'active' and (${isPast} or "revoked")`,
    // Each reason has its own index, which holds only active sessions.
    finders: [
      {
        where: sql`"status" = 'active' and ${isPast}`,
        key: 'expiresAt',
        keyType: 'timestamptz',
      },
      { where: sql`"status" = 'active' and "revoked"`, key: 'id', keyType: 'uuid' },
    ],
    // Only active sessions count for the guard's share: those that have ended stay in the table and would make it
    // small.
    population: sql`"status" = 'active'`,
    nothing: { cleaned: 0, expired: 0, revoked: 0 },
    change: expire,
  }
}

/** Marks the sessions that the sweep chose as expired, and counts why. */
async function expire(tx: Transaction, where: Sql): Promise<CleanupCounts> {
  // PostgreSQL counts: sending thousands of rows here to be counted takes longer than the update.
  const [counts] = await queryRows<CleanupCounts>(
    tx,
    sql`
    with changed as (
      update "PreviewSession" set "status" = 'expired' where ${where} returning "revoked"
    )
    select count(*)::int as "cleaned",
           (count(*) filter (where not "revoked"))::int as "expired",
           (count(*) filter (where "revoked"))::int as "revoked"
    from changed`,
  )
  return counts ?? { cleaned: 0, expired: 0, revoked: 0 }
}
