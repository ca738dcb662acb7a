import { equalsInOrder } from '../database/equalsInOrder.ts'
import { boundedJson, jsonNumber } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'

const OF_JOB = equalsInOrder('"name"', '$1::text')
const HAS_ENDED = `"status" not in ('running', 'suspended') and not "dryRun"`

/** The counts of a run: the numbers in its details, by name. */
export interface RunCounts {
  id: string
  status: Exclude<RunStatus, 'running' | 'suspended'>
  /** ISO 8601 in UTC. */
  startedAt: string
  counts: Record<string, number>
  /** How many due rows it has passed over: `111`, `over 10,000`. Null where it says nothing of that. */
  stillDue: string | null
}

const COUNTED_BYTES = 64 * 1024
const MOST_COUNTERS = 20
const COUNTER_NAME_LENGTH = 100

/** Lists what the last ended runs of a job counted, without dry runs and runs without counts; the oldest first. */
export async function listRunCounts(
  reader: JobsReader,
  name: string,
  limit: number,
): Promise<RunCounts[]> {
  const rows = await reader.rows<RunCounts>({
    text: `
      select run."id", run."status", run."startedAt", counted."counts", left(run."details" ->> 'stillDue', 100) as "stillDue"
      from (
        select "id", "status", "startedAt",
               case when jsonb_typeof("details") = 'object' then ${boundedJson('"details"', COUNTED_BYTES)} end as "details"
        from "JobRun" where ${OF_JOB} and ${HAS_ENDED}
        order by "name", "startedAt" desc, "id" desc limit $2::int
      ) run
      cross join lateral (
        select jsonb_object_agg("key", "number") as "counts" from (
          select left("key", ${COUNTER_NAME_LENGTH}) as "key", ${jsonNumber('"value"')} as "number"
          from jsonb_each(run."details")
        ) field
        where "number" is not null
      ) counted
      where counted."counts" is not null
      order by run."startedAt", run."id"`,
    values: [name, limit],
  })
  return rows.map((row) => ({
    ...row,
    counts: Object.fromEntries(Object.entries(row.counts).slice(0, MOST_COUNTERS)),
  }))
}
