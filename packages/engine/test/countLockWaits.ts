import type { TestRuntime } from './openTestRuntime.ts'

/** Whoever has waited for so long has looked for a deadlock, and will not look again. */
export const LOOKED_FOR_DEADLOCK_MS = 1_200

/** How many sessions of a database wait for a lock: all, or those whose statements hold a text, or that have waited for so long. */
export async function countLockWaits(
  { rows }: Pick<TestRuntime, 'rows'>,
  { text = '', longerThanMs = 0 }: { text?: string; longerThanMs?: number } = {},
): Promise<number> {
  const waiting = await rows(
    `select from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and position($1 in query) > 0
       and ($2 = 0 or clock_timestamp() - query_start > $2 * interval '1 millisecond')`,
    [text, longerThanMs],
  )
  return waiting.length
}
