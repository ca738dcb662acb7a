import { Prisma } from '@roundsman/db'
import type { cleanupI18nCache as job } from '@roundsman/jobs'
import type { Handler } from './handler.ts'

const BATCH_SIZE = 1_000
const DAY_MS = 86_400_000

export function cleanupI18nCache({ maxAgeDays }: { maxAgeDays: number }): Handler<typeof job> {
  return async ({ batch, now }) => {
    const cutoff = new Date(now().getTime() - maxAgeDays * DAY_MS)
    const query = removeQuery(cutoff)
    let cleaned: number
    do {
      ;({ cleaned } = await batch(async (tx) => ({ cleaned: await tx.$executeRaw(query) })))
      // Until nothing is left, not until a batch is not full: an entry that was written again while the
      // batch was picking it is missing from the batch, and says nothing of those after it.
    } while (cleaned > 0)
    return { cutoff: cutoff.toISOString() }
  }
}

/**
 * What a batch sends; apart, so that its plan can be looked at. Entries that somebody holds locked are
 * passed over; they are due again in the next run.
 */
export function removeQuery(cutoff: Date): Prisma.Sql {
  // As text with its offset: the driver would send a Date without one, and the session's time zone would
  // be taken for it.
  return Prisma.sql`
    delete from "I18nCacheEntry"
    where ctid = any(array(
      select ctid from "I18nCacheEntry" where "createdAt" < ${cutoff.toISOString()}::timestamptz
      order by "createdAt" limit ${BATCH_SIZE} for update skip locked
    ))`
}
