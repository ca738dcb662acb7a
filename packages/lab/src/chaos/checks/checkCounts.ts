import type { Check } from './checkGuarantees.ts'
import { numbers } from './checkTickJobs.ts'

/** Run by run, so that one that counts too much does not make up for one that counts too little. */
export const checkCounts: Check = async (database) => {
  const { rows } = await database.query<
    Record<'rows' | 'counted' | 'left' | 'effects' | 'wrong' | 'runs', string>
  >(`
    with swept as (select "sweptBy" as id, count(*) as n from "ChaosRow" where "sweptBy" is not null group by 1),
         effects as (select "runId" as id, count(*) as n from "ChaosEffect" group by 1),
         counted as (
           select run."id", coalesce(("details" ->> 'swept')::bigint, 0) as swept,
                  coalesce(("details" ->> 'effects')::bigint, 0) as effects
           from "JobRun" run)
    select (select coalesce(sum(n), 0) from swept) as rows,
           (select coalesce(sum(swept), 0) from counted) as counted,
           (select count(*) from "ChaosRow" where "sweptBy" is null) as left,
           (select count(*) from "ChaosEffect") as effects,
           (select count(*) from counted full join swept using (id) full join effects using (id)
            where coalesce(swept.n, 0) <> coalesce(counted.swept, 0)
               or coalesce(effects.n, 0) <> coalesce(counted.effects, 0)) as wrong,
           (select count(*) from swept) as runs`)
  const figures = numbers(rows[0])
  const { counted, left, effects, wrong, runs } = figures
  return {
    guarantee: 'G3, G5',
    name: 'what each run counted is what it did',
    isPassed: figures.rows === counted && left + wrong === 0,
    figures: `${figures.rows} rows swept and ${counted} counted by ${runs} runs, ${left} left over; ${effects} effects; ${wrong} runs with a wrong count`,
  }
}
