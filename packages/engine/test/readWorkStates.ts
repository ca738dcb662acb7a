import type { TestRuntime } from './openTestRuntime.ts'

const RUNNING = `
  "JobClaim" claim cross join unnest(claim."runIds", claim."workIds") held("runId", "workId")
  where coalesce((select "status" = 'running' from "JobRun" where "id" = held."runId"), true)`

/** What waits, what runs and what was given up, as rows with a `state`. */
export const WORK_LEFT = `(
  select "id", case when "attempt" > 1 then 'retry' else 'created' end as "state" from "JobWork"
  union all select coalesce(held."workId", held."runId"), 'active' from ${RUNNING}
  union all select "id", 'failed' from "JobDeadLetter"
) work`

/**
 * The state of every piece of work, in the order in which it was enqueued: where it is, or `completed` when a run of it succeeded,
 * or `cancelled` where it ended otherwise without being a dead letter.
 */
export async function readWorkStates(rows: TestRuntime['rows']): Promise<string[]> {
  const found = await rows<{ state: string }>(
    `with left_over as (select * from ${WORK_LEFT})
     select state from (
       select id, state from left_over
       union all
       select "workId", case when bool_or("status" = 'success') then 'completed' else 'cancelled' end from "JobRun"
       where "workId" is not null and "workId" not in (select id from left_over)
       group by 1
     ) work order by id`,
  )
  return found.map(({ state }) => state)
}
