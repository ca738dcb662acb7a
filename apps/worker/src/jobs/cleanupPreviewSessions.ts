import type { cleanupPreviewSessions as job } from '@roundsman/jobs'
import type { Handler, Transaction } from './handler.ts'

const BATCH_SIZE = 1_000

/**
 * Two sweeps, because each has an index of its own that holds only what is due. A session that is both
 * expired and revoked counts as revoked: that is what somebody did to it.
 */
export const cleanupPreviewSessions: Handler<typeof job> = async ({ batch, now }) => {
  const cutoff = now()
  await sweep((tx) => expire(tx, DUE_BY_TIME, cutoff))
  await sweep((tx) => expire(tx, DUE_BY_REVOCATION, cutoff))

  async function sweep(work: (tx: Transaction) => Promise<CleanupCounts>): Promise<void> {
    let cleaned: number
    do {
      ;({ cleaned } = await batch(work))
    } while (cleaned === BATCH_SIZE)
  }
}

type CleanupCounts = { cleaned: number; expired: number; revoked: number }

const DUE_BY_TIME = `"status" = 'active' and "expiresAt" < $1 order by "expiresAt"`
const DUE_BY_REVOCATION = `"status" = 'active' and "revoked" and $1::timestamptz is not null order by "id"`

async function expire(tx: Transaction, due: string, cutoff: Date): Promise<CleanupCounts> {
  // Rows that a request holds locked are passed over; they are due again in the next run.
  const rows = await tx.$queryRawUnsafe<{ revoked: boolean }[]>(
    `update "PreviewSession" set "status" = 'expired'
     where ctid = any(array(
       select ctid from "PreviewSession" where ${due} limit ${BATCH_SIZE} for update skip locked
     ))
     returning "revoked"`,
    cutoff,
  )
  const revoked = rows.filter((row) => row.revoked).length
  return { cleaned: rows.length, expired: rows.length - revoked, revoked }
}
