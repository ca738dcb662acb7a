import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** A host whose clock is not the database's, by the runs that its workers have recorded. */
export interface WrongClock {
  host: string
  /** By how much it was ahead for the last of these runs, below 0: behind. When the database has seen that start, as ISO 8601 in UTC. */
  aheadMs: number
  lastAt: string
}

/** Workers ask the time before they claim, and clocks that are set by the network are nearer than that. */
const APART_SECONDS = 10
const MAX_RUNS = 1_000
/** Of the latest runs, wherever they ran; and how many of a worker have to say the same: one alone may have been held up on its way. */
const MAX_LATEST = 5_000
const OF_WORKER = 5
const MIN_OF_WORKER = 3
/** A clock is behind by the same all the time, but for the way to the database. */
const STEADY_SECONDS = 3

/**
 * Lists such hosts. Runs that start in the future stand at the end of the index: none where all clocks are right. A clock that is
 * behind shows in the latest runs and claims of a worker: the database had each of them as much later.
 */
export async function listWrongClocks(reader: JobsReader): Promise<WrongClock[]> {
  return await reader.rows<WrongClock>({
    text: `
      select * from (
        select distinct on ("host") ${boundedText('"host"')} as "host", "createdAt" as "lastAt", "aheadSeconds" * 1000 as "aheadMs"
        from (
          select split_part("workerId", ':', 1) as "host", "createdAt", extract(epoch from "startedAt" - "createdAt")::float8 as "aheadSeconds"
          from (
            select "workerId", "startedAt", "createdAt" from "JobRun"
            where "startedAt" > now() + interval '${APART_SECONDS} seconds' and isfinite("startedAt")
            order by "startedAt" desc, "id" desc limit ${MAX_RUNS}
          ) run where "startedAt" > "createdAt" + interval '${APART_SECONDS} seconds'
          union all
          select split_part("workerId", ':', 1), max("createdAt"), (array_agg("aheadSeconds" order by "createdAt" desc))[1]
          from (
            select *, row_number() over (partition by "workerId" order by "createdAt" desc) as nth from (
              select "workerId", "createdAt", extract(epoch from max("startedAt") - "createdAt")::float8 as "aheadSeconds" from (
                (select "workerId", "startedAt", "createdAt" from "JobRun" where isfinite("startedAt")
                 order by "startedAt" desc, "id" desc limit ${MAX_LATEST})
                union all
                (select "workerId", "startedAt", "createdAt" from "JobClaim" where "runIds" <> '{}' limit ${MAX_LATEST})
              ) latest group by 1, 2
            ) claim
          ) claim where nth <= ${OF_WORKER} group by "workerId"
          having count(*) >= ${MIN_OF_WORKER} and max("aheadSeconds") < -${APART_SECONDS}
            and max("aheadSeconds") - min("aheadSeconds") < ${STEADY_SECONDS}
        ) found order by "host", "createdAt" desc
      ) clock order by abs("aheadMs") desc, "host" limit 20`,
  })
}
