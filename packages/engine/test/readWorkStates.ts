import type { TestRuntime } from './openTestRuntime.ts'

const UNWRITTEN = `
  "JobStart" start cross join unnest(start."runIds") held(id)
  where not exists (select from "JobRun" where "id" = held.id)`

/** What the queue holds, and what was taken from it and has not ended, as rows with a `state`. */
export const WORK_LEFT = `(
  select state::text from pgboss.job
  union all select 'active' from ${UNWRITTEN}
) work`

/**
 * The state of every piece of work, in the order in which it was enqueued: the queue's own, or `completed` when it has left
 * the queue and a run of it succeeded.
 */
export async function readWorkStates(rows: TestRuntime['rows']): Promise<string[]> {
  const found = await rows<{ state: string }>(
    `select state from (
       select id, state::text from pgboss.job
       union all
       select held.id, 'active' from ${UNWRITTEN}
       union all
       select distinct "workId", 'completed' from "JobRun" run
       where "status" = 'success' and not exists (select from pgboss.job where id = run."workId")
     ) work order by id`,
  )
  return found.map(({ state }) => state)
}
