import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

export const checkSuccesses: Check = async (database) => {
  const { rows } = await database.query<Record<'done' | 'twice' | 'without' | 'most', string>>(`
    with successes as (
      select "queueJobId", count(*) filter (where "status" = 'success') as n, max("attempt") as attempts
      from "JobRun" where not "dryRun" and "queueJobId" is not null group by "queueJobId"
    )
    select (select count(*) from successes where n > 0) as done,
           (select count(*) from successes where n > 1) as twice,
           (select count(*) from "ChaosJob" job left join successes on successes."queueJobId" = job.id
            where (job.state = 'completed') <> (coalesce(n, 0) > 0)) as without,
           (select coalesce(max(attempts), 0) from successes) as most`)
  const { done, twice, without, most } = numbers(rows[0])
  return {
    guarantee: 'G2, G6',
    name: 'no work was completed twice, and what is completed has a run that succeeded',
    isPassed: done > 0 && twice + without === 0,
    figures: `${done} completed, ${twice} twice, ${without} at odds with their runs; at most ${most} attempts`,
  }
}
