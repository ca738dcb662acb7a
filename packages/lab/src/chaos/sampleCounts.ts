import { setTimeout as pause } from 'node:timers/promises'
import { DOUBLED } from '../countStrays.ts'
import type { Queryable } from '../openPool.ts'
import { numbers } from './checks/checkTickJobs.ts'
import type { Random } from '../createRandom.ts'

/** What the jobs did, what their runs say, and what is held, in one snapshot. */
export interface Sample {
  rows: number
  counted: number
  running: number
  /** Running runs that are not held by exactly one claim, of their own worker. */
  astray: number
  /** Pieces of work that are in two places. */
  doubled: number
  /** Limits and keys above which runs go on. */
  exceeded: number
  /** Children for which their parents would wait for ever. */
  lost: number
}

/** Takes samples at random instants until the signal is aborted. */
export async function sampleCounts(options: {
  database: Queryable
  random: Random
  signal: AbortSignal
}): Promise<Sample[]> {
  const { database, random, signal } = options
  const samples: Sample[] = []
  while (!signal.aborted) {
    await pause(random.integer(200, 3_000), undefined, { signal }).catch(() => undefined)
    // PostgreSQL may be away.
    const sample = await takeSample(database).catch(() => null)
    if (sample) samples.push(sample)
  }
  return samples
}

/** One statement sees one snapshot. */
export async function takeSample(database: Queryable): Promise<Sample> {
  const { rows } = await database.query<Record<keyof Sample, string>>(`
    with running as (
      select run."id", (
        select count(*) filter (where claim."workerId" = run."workerId") = 1 and count(*) = 1
        from "JobClaim" claim where run."id" = any(claim."runIds")
      ) as "isHeld"
      from "JobRun" run where run."status" = 'running'
    )
    select (select count(*) from "ChaosRow" where "sweptBy" is not null)
             + (select count(*) from "ChaosEffect") as rows,
           (select coalesce(sum(coalesce(("details" ->> 'swept')::bigint, 0)
                              + coalesce(("details" ->> 'effects')::bigint, 0)), 0)
            from "JobRun") as counted,
           (select count(*) from running) as running,
           (select count(*) from running where not "isHeld") as astray,
           ${DOUBLED} as doubled,
           (select count(*) from "JobLimitViolation") as exceeded,
           (select count(*) from "JobChildLost") as lost`)
  return numbers(rows[0])
}
