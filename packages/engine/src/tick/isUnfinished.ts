import { RUNS_UNDER_WAY } from '../store/heldRuns.ts'
import { IN_PLACE, LATER, MAX_BACK_OFF_MS, READY, SUSPECT } from '../store/waitingSql.ts'

/** A retry is due within its job's longest pause, or that after losses; one that is due later was postponed. */
export const isRetry = (pauseS: string) => `
  work."dueAt" <= now() + greatest(${pauseS}, ${MAX_BACK_OFF_MS / 1_000}) * interval '1 second'
  and (work."dueAt" <= now() or work."attempt" > 1 + coalesce((work."facts" ->> 'attemptsBefore')::int, 0))`

/**
 * Whether a job has work that is due, is to be retried, or runs. Dry runs do not count, nor does what was enqueued or postponed
 * for a later instant. `name` and `pauseS` are expressions for the job's name and its longest pause before a retry, in seconds.
 */
export function isUnfinishedSql(name: string, pauseS: string): string {
  // In order, PostgreSQL begins with the first in the index, and does not look through the table for any.
  const hasWork = (part: string, order: string) => `exists (
      select from (
        select from "JobWork" work
        where work."name" = ${name} and ${part} and work."facts" -> 'dryRun' is distinct from 'true'
        order by ${order} limit 1
      ) first
    )`
  return `(
    ${hasWork(READY, IN_PLACE)}
    or ${hasWork(SUSPECT, 'work."place"')}
    or ${hasWork(`${LATER} and ${isRetry(pauseS)}`, 'work."dueAt"')}
    or exists (select from ${RUNS_UNDER_WAY} where run."name" = ${name} and not run."dryRun")
  )`
}
