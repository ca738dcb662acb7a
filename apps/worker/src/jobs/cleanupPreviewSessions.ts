import { Prisma } from '@roundsman/db'
import type { cleanupPreviewSessions as job } from '@roundsman/jobs'
import type { Handler, Transaction } from './handler.ts'

const BATCH_SIZE = 1_000

/**
 * Marks what is due, in batches. A session that is both past its time and revoked counts as revoked: that
 * is what somebody did to it.
 */
export const cleanupPreviewSessions: Handler<typeof job> = async ({ batch, now }) => {
  const cutoff = now()
  let cleaned: number
  do {
    ;({ cleaned } = await batch((tx) => expireBatch(tx, cutoff)))
    // Until nothing is left, not until a batch is not full: a session that a request changed while the
    // batch was picking it is missing from the batch, and says nothing of those after it.
  } while (cleaned > 0)
}

type CleanupCounts = { cleaned: number; expired: number; revoked: number }

async function expireBatch(tx: Transaction, cutoff: Date): Promise<CleanupCounts> {
  const rows: { revoked: boolean }[] = []
  for (const due of [dueByTime(cutoff), dueByRevocation]) {
    const room = BATCH_SIZE - rows.length
    if (room > 0) rows.push(...(await tx.$queryRaw<typeof rows>(expireQuery(due, room))))
  }
  const revoked = rows.filter((row) => row.revoked).length
  return { cleaned: rows.length, expired: rows.length - revoked, revoked }
}

/** Of the sessions that are active; each reason has an index of its own, which holds only what is due. */
export function dueByTime(cutoff: Date): Prisma.Sql {
  // As text with its offset: the driver would send a Date without one, and the session's time zone would
  // be taken for it.
  return Prisma.sql`"expiresAt" < ${cutoff.toISOString()}::timestamptz order by "expiresAt"`
}

export const dueByRevocation = Prisma.sql`"revoked" order by "id"`

/**
 * What is sent for each reason; apart, so that its plan can be looked at. Sessions that a request holds
 * locked are passed over; they are due again in the next run.
 */
export function expireQuery(due: Prisma.Sql, limit: number): Prisma.Sql {
  return Prisma.sql`
    update "PreviewSession" set "status" = 'expired'
    where ctid = any(array(
      select ctid from "PreviewSession" where "status" = 'active' and ${due}
      limit ${limit} for update skip locked
    ))
    returning "revoked"`
}
