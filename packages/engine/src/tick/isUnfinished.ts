import type { Connection } from '../database/database.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { IN_PLACE, LATER, MAX_BACK_OFF_MS, READY, SUSPECT } from '../queue/waitingSql.ts'
import type { StoredSchedule } from './storedSchedule.ts'

/**
 * Whether delayed work is a retry: it is due within the job's longest pause, or that after losses. Work due later was
 * postponed. Work that waits in a step counts as under way.
 */
const isRetry = (pauseS: string) => `
  (work."resumptions" is not null or work."dueAt" <= now() + greatest(${pauseS}, ${MAX_BACK_OFF_MS / 1_000}) * interval '1 second'
  and (work."dueAt" <= now() or work."attempt" > 1 + coalesce((work."facts" ->> 'attemptsBefore')::int, 0)))`

/**
 * Whether a job has work that is due, waits for a retry, or runs. Dry runs, and work enqueued or postponed for a later instant,
 * do not count. `name` and `pauseS` are expressions for the job's name and its longest pause before a retry, in seconds.
 */
export function isUnfinishedSql(name: string, pauseS: string): string {
  // With an order, PostgreSQL reads only the first entry of the index, and does not scan the table.
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

/** For a schedule with a key, only its own work counts; for the schedule of a job's definition, all work of the job. */
const UNFINISHED_SQL = `
  with held as materialized (
    select "name", "key", string_to_array("openWork", ',')::uuid[] as "openWork", "pauseS"
    from json_to_recordset($1::text::json) as held("name" text, "key" text, "openWork" text, "pauseS" float8)
  ), opened as materialized (
    select held."name", work.id, max(held."pauseS") as "pauseS" from held cross join lateral unnest(held."openWork") as work(id)
    where held."key" <> '' group by held."name", work.id
  ), unfinished as materialized (
    select work."id" from opened join "JobWork" work on work."id" = opened.id
    where work."place" is not null or ${isRetry('opened."pauseS"')}
    union all
    select run."workId" from (select distinct "name" from opened) job cross join lateral (
      select run."workId" from ${RUNS_UNDER_WAY}
      where run."name" = job."name" and run."workId" in (select id from opened) and not run."dryRun"
    ) run
  )
  select held."name", held."key" from held where case
    when held."key" = '' then ${isUnfinishedSql('held."name"', 'held."pauseS"')}
    else exists (select from unnest(held."openWork") as work(id) where work.id in (select id from unfinished))
  end`

/** Finds the schedules that have work that is due, waits for a retry, or runs. */
export async function findUnfinished(
  tx: Connection,
  schedules: readonly Pick<StoredSchedule, 'name' | 'key' | 'openWork'>[],
  pauseOf: (name: string) => number,
): Promise<(of: Pick<StoredSchedule, 'name' | 'key'>) => boolean> {
  const held = schedules
    .filter(({ key, openWork }) => key === '' || openWork !== '')
    .map(({ name, key, openWork }) => ({ name, key, openWork, pauseS: pauseOf(name) / 1_000 }))
  if (held.length === 0) return () => false
  const { rows } = await tx.query<{ name: string; key: string }>(UNFINISHED_SQL, [
    JSON.stringify(held),
  ])
  const found = new Set(rows.map(({ name, key }) => `${name} ${key}`))
  return ({ name, key }) => found.has(`${name} ${key}`)
}
