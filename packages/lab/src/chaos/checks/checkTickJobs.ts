import type { Check } from './checkGuarantees.ts'

/** An enqueued tick has one piece of work, which was carried out. Any other tick has none. */
export const checkTickJobs: Check = async (database, { schedules }) => {
  const names = schedules.map(({ name }) => name)
  const { rows } = await database.query<Record<'ticks' | 'without' | 'strays' | 'open', string>>(
    `with tick as (select * from "JobTick" where "name" = any($1)),
          job as (select id, name, state from "ChaosJob" where name = any($1))
     select (select count(*) from tick where outcome = 'enqueued') as ticks,
            (select count(*) from tick left join job on job.id = tick."workId" and job.name = tick."name"
             where (tick.outcome = 'enqueued') <> (job.id is not null)) as without,
            (select count(*) from job where (select count(*) from tick where tick."workId" = job.id) <> 1) as strays,
            (select count(*) from job where state <> 'completed') as open`,
    [names],
  )
  const { ticks, without, strays, open } = numbers(rows[0])
  return {
    guarantee: 'G1',
    name: 'every enqueued tick has exactly one piece of work, and it was carried out',
    isPassed: ticks > 0 && without + strays + open === 0,
    figures: `${ticks} enqueued, ${without} without their work, ${strays} without their tick, ${open} not carried out`,
  }
}

/** Counts come as text. Without a row, every number is undefined and every comparison with it false. */
export function numbers<Key extends string>(row: Record<Key, string> | undefined) {
  return Object.fromEntries(
    Object.entries(row ?? {}).map(([key, value]) => [key, Number(value)]),
  ) as Record<Key, number>
}
