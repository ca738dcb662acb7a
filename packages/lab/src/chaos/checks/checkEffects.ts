import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

export const checkEffects: Check = async (database, { schedules }) => {
  const names = ['effect', ...schedules.map(({ name }) => name)]
  const { rows } = await database.query<Record<'jobs' | 'open' | 'without' | 'strays', string>>(
    `with job as (select id, state from "ChaosJob" where name = any($1))
     select count(*) filter (where job.id is not null) as jobs,
            count(*) filter (where state <> 'completed') as open,
            count(*) filter (where effect."queueJobId" is null) as without,
            count(*) filter (where job.id is null) as strays
     from job full join "ChaosEffect" effect on effect."queueJobId" = job.id`,
    [names],
  )
  const { jobs, open, without, strays } = numbers(rows[0])
  return {
    guarantee: 'G2, G6',
    name: 'no work was lost, and each had its effect exactly once',
    isPassed: jobs > 0 && open + without + strays === 0,
    figures: `${jobs} pieces of work, ${open} not completed, ${without} without an effect, ${strays} effects without work`,
  }
}
