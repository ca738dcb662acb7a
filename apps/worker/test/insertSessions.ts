import type { PrismaClient } from '@roundsman/db'

const HOUR_MS = 3_600_000

/**
 * Inserts sessions, named after what the clean-up makes of them. Those past their time are labelled 1, 2, 3 and so on,
 * in the order in which it cleans them.
 */
export async function insertSessions(
  prisma: PrismaClient,
  counts: { expired?: number; revoked?: number; active?: number },
): Promise<void> {
  const insert = (count: number, fromMs: number, revoked: boolean) => {
    const from = new Date(Date.now() + fromMs).toISOString()
    return prisma.$executeRaw`
      insert into "PreviewSession" ("id", "tokenHash", "label", "revoked", "expiresAt")
      select gen_random_uuid(), gen_random_uuid()::text, number::text, ${revoked},
             ${from}::timestamptz + number * interval '1 millisecond'
      from generate_series(1, ${count}::int) number`
  }
  await insert(counts.expired ?? 0, -HOUR_MS, false)
  await insert(counts.revoked ?? 0, HOUR_MS, true)
  await insert(counts.active ?? 0, HOUR_MS, false)
}
