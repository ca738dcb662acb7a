import { equalsInOrder } from '../database/equalsInOrder.ts'
import { boundedJson, boundedText, jsonNumber } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

/** An ended run as a mark in a chart. */
export interface RunPoint {
  id: string
  /** The label of its work; null without one. */
  label: string | null
  status: Exclude<RunStatus, 'running' | 'suspended'>
  outcome: RunOutcome
  errorCode: string | null
  /** ISO 8601 in UTC. */
  startedAt: string
  durationMs: number
}

export interface RunSample {
  /** The oldest first. */
  runs: RunPoint[]
  /** Whether the span has more runs than these. */
  isPart: boolean
}

export interface SampleOptions {
  name: string
  from: Date
  to: Date
}

/** More marks could not be told apart in a chart. */
const MOST = 300
const SLOTS = 48
/** Runs of each slot. Failed runs have places of their own, so that a few among millions are seen. */
const MOST_IN_SLOT = 4
const MOST_FAILED_IN_SLOT = 2

const POINT = `"id", ${boundedText('"label"')} as "label", "status", ${outcomeOf()} as "outcome", ${boundedText('"errorCode"')} as "errorCode", "startedAt",
  (extract(epoch from "endedAt" - "startedAt") * 1000)::float8 as "durationMs"`
const OF_JOB = equalsInOrder('"name"', '$1::text')
const HAS_ENDED = `"status" not in ('running', 'suspended') and not "dryRun"`

/**
 * Samples the ended runs of a job in a span, without dry runs: all of them when they are few, else the latest of each slot.
 * It reads no more, however many there are.
 */
export async function sampleRuns(
  reader: JobsReader,
  { name, from, to }: SampleOptions,
): Promise<RunSample> {
  const values = [name, from.toISOString(), to.toISOString()]
  const latest = await reader.rows<RunPoint>({
    text: `
      select ${POINT} from "JobRun"
      where ${OF_JOB} and "startedAt" >= $2::timestamptz and "startedAt" < $3::timestamptz and ${HAS_ENDED}
      order by "name", "startedAt" desc, "id" desc limit ${MOST + 1}`,
    values,
  })
  if (latest.length <= MOST) return { runs: latest.toReversed(), isPart: false }
  // For each slot, two looks into indexes that list runs by name first.
  const part = (where: string, limit: number) => `(
    select ${POINT} from "JobRun"
    where ${OF_JOB} and "startedAt" >= slot."from" and "startedAt" < slot."to" and ${where}
    order by "name", "startedAt" desc, "id" desc limit ${limit})`
  const runs = await reader.rows<RunPoint>({
    text: `
      select run.* from (
        select $2::timestamptz + n * ($3::timestamptz - $2::timestamptz) / ${SLOTS} as "from",
               $2::timestamptz + (n + 1) * ($3::timestamptz - $2::timestamptz) / ${SLOTS} as "to"
        from generate_series(0, ${SLOTS - 1}) n
      ) slot
      cross join lateral (
        ${part(HAS_ENDED, MOST_IN_SLOT)}
        union
        ${part('"errorCode" is not null and not "dryRun"', MOST_FAILED_IN_SLOT)}
      ) run
      order by run."startedAt", run."id"`,
    values,
  })
  return { runs, isPart: true }
}

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
