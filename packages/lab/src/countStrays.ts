import type { Queryable } from './openPool.ts'

/** What must be nowhere, at any instant, whoever was killed before. */
export interface Strays {
  /** Pieces of work that are in two places. */
  doubled: number
  /** Unique keys and payloads whose work is in none. */
  keys: number
  payloads: number
}

/** Where work is that has not ended: it waits, runs or was given up. */
export const WORK_LEFT = `(
    select "id", 'waiting' as "state" from "JobWork"
    union all select "workId", 'running' from "JobRunAll" where "status" = 'running' and "workId" is not null
    union all select "id", 'given up' from "JobDeadLetter"
  )`

export const DOUBLED = `(
    select count(*)::int from (select from ${WORK_LEFT} place group by "id" having count(*) > 1) place
  )`

const STRAYS_SQL = `
  select ${DOUBLED} as "doubled",
         (select count(*)::int from "JobUnique" where "workId" not in (select "id" from ${WORK_LEFT} place)) as "keys",
         (select count(*)::int from "JobPayload" where coalesce("keptUntil" < now(), true)
            and "workId" not in (select "id" from ${WORK_LEFT} place)) as "payloads"`

export async function countStrays(database: Queryable): Promise<Strays> {
  const { rows } = await database.query<{ [Key in keyof Strays]: number }>(STRAYS_SQL)
  return rows[0] ?? { doubled: NaN, keys: NaN, payloads: NaN }
}
