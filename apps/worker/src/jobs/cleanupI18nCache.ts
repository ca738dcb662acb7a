import type { cleanupI18nCache as job } from '@roundsman/jobs'
import type { Handler } from './handler.ts'

const BATCH_SIZE = 1_000
const DAY_MS = 86_400_000

export function cleanupI18nCache({ maxAgeDays }: { maxAgeDays: number }): Handler<typeof job> {
  return async ({ batch, now }) => {
    const cutoff = new Date(now().getTime() - maxAgeDays * DAY_MS)
    let cleaned: number
    do {
      ;({ cleaned } = await batch(async (tx) => ({
        cleaned: await tx.$executeRaw`
          delete from "I18nCacheEntry"
          where ctid = any(array(
            select ctid from "I18nCacheEntry" where "createdAt" < ${cutoff}
            order by "createdAt" limit ${BATCH_SIZE} for update skip locked
          ))`,
      })))
    } while (cleaned === BATCH_SIZE)
    return { cutoff: cutoff.toISOString() }
  }
}
