import type { PrismaClient } from '@roundsman/db'
import { cleanupI18nCache, cleanupPreviewSessions } from '@roundsman/jobs'
import { cleanupI18nCache as cleanI18nCache, oldEntries } from '../../src/jobs/cleanupI18nCache.ts'
import {
  cleanupPreviewSessions as cleanPreviewSessions,
  endedSessions,
} from '../../src/jobs/cleanupPreviewSessions.ts'
import { NOW, type Cleanup } from './describeCleanup.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Of entries that are kept for thirty days. */
export const CUTOFF = new Date(NOW.getTime() - 30 * DAY_MS)

export const previewSessions: Cleanup<typeof cleanupPreviewSessions> = {
  job: cleanupPreviewSessions,
  handler: cleanPreviewSessions,
  table: 'PreviewSession',
  numberColumn: 'label',
  insertDue: (client, count) =>
    insertSessionsFrom(client, new Date(NOW.getTime() - HOUR_MS), count),
  insertOthers: (client, count) =>
    insertSessionsFrom(client, new Date(NOW.getTime() + HOUR_MS), count),
  countDue: (client) =>
    client.previewSession.count({ where: { status: 'active', expiresAt: { lt: NOW } } }),
  counts: (cleaned) => ({ cleaned, expired: cleaned, revoked: 0 }),
  facts: {},
  target: endedSessions(NOW),
  indexes: ['PreviewSession_expiresAt_due_idx', 'PreviewSession_revoked_due_idx'],
}

export const i18nCache: Cleanup<typeof cleanupI18nCache> = {
  job: cleanupI18nCache,
  handler: cleanI18nCache({ maxAgeDays: 30 }),
  table: 'I18nCacheEntry',
  numberColumn: 'key',
  insertDue: (client, count) =>
    insertEntriesFrom(client, new Date(CUTOFF.getTime() - HOUR_MS), count),
  // So young that none becomes due while a test runs, in whatever time zone.
  insertOthers: (client, count) =>
    insertEntriesFrom(client, new Date(CUTOFF.getTime() + HOUR_MS), count, 'de'),
  countDue: (client) => client.i18nCacheEntry.count({ where: { locale: 'en' } }),
  counts: (cleaned) => ({ cleaned }),
  facts: { cutoff: CUTOFF.toISOString() },
  target: oldEntries(CUTOFF),
  indexes: ['I18nCacheEntry_createdAt_idx'],
}

/** Inserts sessions labelled 1, 2, 3 and so on, each of which expires a millisecond after the one before. */
export async function insertSessionsFrom(
  prisma: PrismaClient,
  from: Date,
  count: number,
  { revoked = false } = {},
): Promise<void> {
  await prisma.$executeRaw`
    insert into "PreviewSession" ("id", "tokenHash", "label", "revoked", "expiresAt")
    select gen_random_uuid(), gen_random_uuid()::text, number::text, ${revoked},
           ${from.toISOString()}::timestamptz + number * interval '1 millisecond'
    from generate_series(1, ${count}::int) number`
}

/** Inserts entries with the keys 1, 2, 3 and so on, each a millisecond younger than the one before. */
export async function insertEntriesFrom(
  prisma: PrismaClient,
  from: Date,
  count: number,
  locale = 'en',
): Promise<void> {
  await prisma.$executeRaw`
    insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
    select gen_random_uuid(), ${locale}, number::text, 'text',
           ${from.toISOString()}::timestamptz + number * interval '1 millisecond'
    from generate_series(1, ${count}::int) number`
}
