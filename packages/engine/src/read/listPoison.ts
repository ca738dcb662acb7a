import { RUNS_UNDER_WAY } from '../store/heldRuns.ts'
import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Work that waits or runs although workers have died while they ran it, twice or more within a day. */
export interface Poison {
  name: string
  workId: string
  label: string | null
  /** How many workers it has lost, how many of these of late, and when the first of these runs ended, as ISO 8601 in UTC. */
  losses: number
  recentLosses: number
  since: string
  /** The first and the last of these runs. */
  firstRunId: string
  runId: string
  /** When a worker may start it again; null while one runs it. */
  nextAt: string | null
  /** Whether there may be more such work than these, the 20 that have lost most. */
  isCut: boolean
  /** How many pieces of the job have done so within seven days; null where the record does not go back so far. */
  inWeek: number | null
}

/** Whether runs are kept from before an instant. */
export const reachesBack = (instant: string) =>
  `exists (select from "JobRun" where "startedAt" < ${instant})`

/** How many of the last lost runs to look through, and how many of one piece of work. */
const MAX_LOST = 1_000
const MAX_LISTED = 20
const MAX_LOST_OF_WEEK = 10_000

/** Lists such work, what has lost most first. Of late is what started since `recentFrom`. */
export async function listPoison(
  reader: JobsReader,
  from: Date,
  recentFrom: Date,
): Promise<Poison[]> {
  const rows = await reader.rows<Poison>({
    text: `
      with latest as materialized (
        select run."workId" from "JobRun" run
        where run."errorCode" = 'worker_lost' and run."startedAt" >= $1::timestamptz
        order by run."startedAt" desc, run."id" desc limit ${MAX_LOST}
      ), lost as materialized (
        select "workId" from latest where "workId" is not null group by 1 having count(*) >= 2
      ), week as materialized (
        select "name", "workId" from "JobRun"
        where "errorCode" = 'worker_lost' and "startedAt" >= $1::timestamptz - interval '6 days'
        order by "startedAt" desc, "id" desc limit ${MAX_LOST_OF_WEEK}
      ), under as materialized (
        select run."workId" from ${RUNS_UNDER_WAY} where run."workId" in (select "workId" from lost)
      )
      select of."name", lost."workId", ${boundedText('of."label"')} as "label", of."losses", of."recentLosses", of."since",
             of."firstRunId", of."runId",
             work."dueAt" as "nextAt", (select count(*) from latest) = ${MAX_LOST} as "isCut",
             case when (select count(*) from week) < ${MAX_LOST_OF_WEEK} and ${reachesBack("$1::timestamptz - interval '6 days'")} then (
               select count(*)::int from (
                 select from week where week."name" = of."name" and week."workId" is not null group by week."workId" having count(*) >= 2
               ) others
             ) end as "inWeek"
      from lost
      left join "JobWork" work on work."id" = lost."workId"
      left join under on under."workId" = lost."workId"
      cross join lateral (
        select max("name") as "name", (array_agg("label"))[1] as "label", count(*)::int as "losses",
               (count(*) filter (where "startedAt" >= $2::timestamptz))::int as "recentLosses", min("endedAt") as "since",
               (array_agg("id" order by "startedAt", "id"))[1] as "firstRunId",
               (array_agg("id" order by "startedAt" desc, "id" desc))[1] as "runId"
        from (
          select * from "JobRun" run where run."workId" = lost."workId" and run."errorCode" = 'worker_lost' limit ${MAX_LOST}
        ) run
      ) of
      where work."id" is not null or under."workId" is not null
      order by of."losses" desc, of."since", lost."workId" limit ${MAX_LISTED + 1}`,
    values: [from.toISOString(), recentFrom.toISOString()],
  })
  const isOver = rows.length > MAX_LISTED
  return rows.slice(0, MAX_LISTED).map((row) => ({ ...row, isCut: row.isCut || isOver }))
}
