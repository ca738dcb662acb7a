import { boundedText } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** When a run started: by its worker's clock, but no later than the database knew of it. */
export const STARTED_AT = `least("startedAt", "createdAt")`
/** When it ended, likewise. */
export const ENDED_AT = `case when isfinite("startedAt") then "endedAt" - greatest("startedAt" - "createdAt", interval '0') else "endedAt" end`

/** A host whose workers have recorded runs that start in the future: their clock is ahead of the database's. */
export interface ClockAhead {
  host: string
  /** By how much it was for the last of these runs, and when the database has seen that start, as ISO 8601 in UTC. */
  aheadMs: number
  lastAt: string
}

/** Workers ask the time before they claim, and clocks that are set by the network are nearer than that. */
const AHEAD_SECONDS = 10
const MAX_RUNS = 1_000

/** Lists such hosts by the runs that stand at the end of the index, 1,000 at most: none where all clocks are right. */
export async function listClocksAhead(reader: JobsReader): Promise<ClockAhead[]> {
  return await reader.rows<ClockAhead>({
    text: `
      select * from (
        select distinct on ("host") ${boundedText('"host"')} as "host", "createdAt" as "lastAt",
               (extract(epoch from "startedAt" - "createdAt") * 1000)::float8 as "aheadMs"
        from (
          select split_part("workerId", ':', 1) as "host", "startedAt", "createdAt" from "JobRun"
          where "startedAt" > now() + interval '${AHEAD_SECONDS} seconds' and isfinite("startedAt")
          order by "startedAt" desc, "id" desc limit ${MAX_RUNS}
        ) run where "startedAt" > "createdAt" + interval '${AHEAD_SECONDS} seconds'
        order by "host", "createdAt" desc
      ) clock order by "aheadMs" desc, "host" limit 20`,
  })
}
