import { setTimeout as pause } from 'node:timers/promises'
import type { Connection } from '../../packages/runtime/src/queue/database.ts'
import type { Random } from './createRandom.ts'

/** What the jobs did and what their runs say they did, seen in one snapshot. */
export interface Sample {
  rows: number
  counted: number
}

/** Looks at random instants until the signal is aborted. */
export async function sampleCounts(options: {
  database: Connection
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
async function takeSample(database: Connection): Promise<Sample> {
  const { rows } = await database.query<{ rows: string; counted: string }>(`
    select (select count(*) from "ChaosRow" where "sweptBy" is not null)
             + (select count(*) from "ChaosEffect") as rows,
           (select coalesce(sum(coalesce(("details" ->> 'swept')::bigint, 0)
                              + coalesce(("details" ->> 'effects')::bigint, 0)), 0)
            from "JobRun") as counted`)
  const [row] = rows
  return { rows: Number(row?.rows), counted: Number(row?.counted) }
}
