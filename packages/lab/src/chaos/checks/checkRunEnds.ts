import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

/** Also of those whose worker was killed; and what has ended is not touched again, by no worker that comes back. */
export const checkRunEnds: Check = async (database) => {
  const { rows } = await database.query<Record<'runs' | 'running' | 'again' | 'lost', string>>(`
    select count(*) as runs,
           count(*) filter (where "status" = 'running') as running,
           count(*) filter (where ends.n <> 1 and "status" <> 'running') as again,
           count(*) filter (where "details" -> 'error' ->> 'code' = 'worker_lost') as lost
    from "JobRun" left join (
      select "runId", count(*) as n from "ChaosRunEnd" group by "runId"
    ) ends on ends."runId" = "JobRun"."id"`)
  const { runs, running, again, lost } = numbers(rows[0])
  return {
    guarantee: 'G2, G5',
    name: 'every run ended, and was not changed after it had',
    isPassed: runs > 0 && running + again === 0,
    figures: `${runs} runs, ${running} still running, ${again} changed after their end; ${lost} lost their worker`,
  }
}
