/** Where due rows lie in their table. */
export const LAYOUTS = ['together', 'scattered'] as const
export type Layout = (typeof LAYOUTS)[number]

export interface CleanupData {
  job: 'cleanupI18nCache' | 'cleanupPreviewSessions'
  rows: number
  /** The share of due rows, from 0 to 1. */
  dueShare: number
  layout: Layout
}

export const TABLES = {
  cleanupI18nCache: 'I18nCacheEntry',
  cleanupPreviewSessions: 'PreviewSession',
} as const

/** What somebody would type into a console who has no job for it. */
export const HAND_WRITTEN = {
  cleanupI18nCache: `delete from "I18nCacheEntry" where "createdAt" < now() - interval '30 days'`,
  cleanupPreviewSessions: `update "PreviewSession" set "status" = 'expired'
    where "status" = 'active' and ("expiresAt" < now() or "revoked")`,
} as const

/**
 * The statement that fills the table of a clean-up with `rows` rows. `dueShare` of them are due, and lie together or
 * scattered. The same seed scatters them alike.
 */
export function fillStatement({ job, rows, dueShare, layout }: CleanupData, seed: number): string {
  const isDue =
    layout === 'together'
      ? `n <= ${Math.round(rows * dueShare)}`
      : // Spread evenly, and the same for the same seed.
        `(hashint8extended(n, ${seed}) & 1048575) < ${Math.round(dueShare * 1_048_576)}`
  switch (job) {
    case 'cleanupI18nCache':
      return `
        insert into "I18nCacheEntry" ("id", "locale", "key", "value", "createdAt")
        select uuidv7(), 'de', 'key ' || n, 'a translation of the usual length, number ' || n,
               now() - case when ${isDue} then interval '60 days' else interval '0' end - n * interval '1 ms'
        from generate_series(1, ${rows}::bigint) n`
    case 'cleanupPreviewSessions':
      // The label is the token whose hash is stored.
      return `
        insert into "PreviewSession" ("id", "tokenHash", "label", "expiresAt", "revoked")
        select uuidv7(), encode(sha256(n::text::bytea), 'hex'), n::text,
               now() + case when ${isDue} and n % 10 <> 0 then interval '-1 day' else interval '30 days' end
                 - n * interval '1 ms',
               ${isDue} and n % 10 = 0
        from generate_series(1, ${rows}::bigint) n`
    default:
      return job satisfies never
  }
}
