import { equalsInOrder } from '../database/equalsInOrder.ts'
import { thrownOf } from './bounded.ts'
import type { JobsReader } from './reader.ts'

/** Runs of one job with the same failure, including the given run. */
export interface EqualFailures {
  count: number
  /** The start of the first of them, as ISO 8601 in UTC. */
  since: string
  /** Whether there may be more. */
  isCut: boolean
}

/** PostgreSQL adds it, since it cannot read JavaScript's format of a day beyond the year 9999. */
const DAY = `interval '24 hours'`
const MAX_LOOKED_AT = 2_000

/**
 * Counts the same failures of a job in the day before and the day after a run: with the same code, class and first frame. It
 * reads only the last failures of that time. Null if the run has not failed.
 */
export async function countEqualFailures(
  reader: JobsReader,
  { id, name, startedAt }: { id: string; name: string; startedAt: string },
): Promise<EqualFailures | null> {
  const [found] = await reader.rows<EqualFailures & { since: string | null }>({
    text: `
      with own as materialized (
        select "errorCode", ${thrownOf('"details"')} as "thrown" from "JobRun" where "id" = $3::uuid
      )
      select count(*) filter (where "isEqual")::int as "count", min("startedAt") filter (where "isEqual") as "since",
             count(*) = ${MAX_LOOKED_AT} as "isCut"
      from (
        select run."startedAt", run."errorCode" = own."errorCode" and ${thrownOf('run."details"')} = own."thrown" as "isEqual"
        from "JobRun" run cross join own
        where ${equalsInOrder('run."name"', '$1::text')} and run."errorCode" is not null
          and run."startedAt" >= $2::timestamptz - ${DAY} and run."startedAt" < $2::timestamptz + ${DAY}
        order by run."name", run."startedAt" desc, run."id" desc limit ${MAX_LOOKED_AT}
      ) failed`,
    values: [name, startedAt, id],
  })
  return found && found.since !== null ? found : null
}
