import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

/** Work exists where its transaction's other row does, and only there. */
export const checkEnqueue: Check = async (database, { load }) => {
  const { rows } = await database.query<Record<'both' | 'alone' | 'vanished' | 'undone', string>>(
    `with job as (select id from "ChaosJob" where name = 'effect')
     select count(*) filter (where job.id is not null and "queueJobId" is not null) as both,
            count(*) filter (where job.id is null or "queueJobId" is null) as alone,
            (select count(*) from unnest($1::uuid[]) committed(id)
             where not exists (select from job where job.id = committed.id)) as vanished,
            (select count(*) from unnest($2::uuid[]) gone(id)
             where exists (select from job where job.id = gone.id)
                or exists (select from "ChaosEnqueue" where "queueJobId" = gone.id)
                or exists (select from "JobRun" where "queueJobId" = gone.id)
                or exists (select from "ChaosEffect" where "queueJobId" = gone.id)) as undone
     from job full join "ChaosEnqueue" on "queueJobId" = job.id`,
    [load.committed, load.rolledBack],
  )
  const { both, alone, vanished, undone } = numbers(rows[0])
  return {
    guarantee: 'G4',
    name: 'work exists if and only if its transaction was committed',
    isPassed: both > 0 && alone + vanished + undone === 0,
    figures: `${both} enqueued, ${alone} without the other half, ${vanished} committed and vanished; ${load.rolledBack.length} rolled back, ${undone} of them left something; ${load.unknown} transactions cut in the middle`,
  }
}
