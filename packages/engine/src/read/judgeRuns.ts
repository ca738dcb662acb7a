import { equalsInOrder } from '../store/equalsInOrder.ts'
import { jsonNumber } from './bounded.ts'
import { IS_FINITE, MS } from './countRuns.ts'
import type { JobsReader } from './reader.ts'

/*
 * What its own runs say of a job that succeeds: that it has begun to do nothing, or to take far longer. Both say nothing of a
 * job with few runs.
 */

export const SUCCESSES = (name: string) =>
  `${equalsInOrder('"name"', name)} and "status" = 'success' and not "dryRun"`
export const LATEST = `order by "name", "startedAt" desc, "id" desc`

export interface IdleJob {
  name: string
  /** How many runs in a row have counted nothing; `isCut`: there are more. */
  runs: number
  isCut: boolean
  /** The first of them; null where there are more. */
  firstRunId: string | null
  /** What those before counted, in the middle. */
  usual: number
}

const MAX_RUNS = 60
const MAX_DETAILS_BYTES = 8_192
/** What a run has counted in all; null where nobody knows that it counts. */
export const COUNTED = `(
  select sum(${jsonNumber('value')}) from jsonb_each(
    case when jsonb_typeof("details") = 'object' and pg_column_size("details") <= ${MAX_DETAILS_BYTES} then "details" end
  ) where key not in ('batches', 'stillDue'))`

/** Lists the jobs that counted something in most runs, and nothing in so many of the latest that it is hardly luck. */
export async function listIdle(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<IdleJob[]> {
  const rows = await reader.rows<{ name: string; counts: number[]; ids: string[] }>({
    text: `
      select job.name, run.counts, run.ids from unnest($1::text[]) job(name)
      cross join lateral (
        select array_agg(counted."sum" order by "startedAt" desc, "id" desc) as counts,
               jsonb_agg("id" order by "startedAt" desc, "id" desc) as ids
        from (
          select "startedAt", "id", ${COUNTED} as "sum" from (
            select "startedAt", "id", "details" from "JobRun" where ${SUCCESSES('job.name')} ${LATEST} limit ${MAX_RUNS}
          ) run
        ) counted where counted."sum" is not null
      ) run where run.counts is not null`,
    values: [names],
  })
  const hidden = rows.filter(({ counts }) => hidesBefore(counts)).map(({ name }) => name)
  const usual = await sampleCounts(reader, hidden, now)
  return rows.flatMap(({ name, counts, ids }): IdleJob[] => {
    const verdict = judgeIdle([...counts, ...(usual.get(name) ?? [])])
    if (verdict === null) return []
    const isCut = verdict.runs >= counts.length
    const firstRunId = isCut ? null : (ids[verdict.runs - 1] ?? null)
    return [{ name, ...verdict, runs: Math.min(verdict.runs, counts.length), isCut, firstRunId }]
  })
}

/** Whether a job runs so often that those which were read say too little of what was before. */
function hidesBefore(counts: readonly number[]): boolean {
  const first = counts.findIndex((count) => count !== 0)
  const runs = first === -1 ? counts.length : first
  return counts.length >= MIN_BEFORE && counts.length - runs < MIN_BEFORE && runs >= MIN_IN_A_ROW
}

/** How many runs of an hour to read. */
const OF_HOUR = 6
/** Hours seven hours apart, from the day before `$2` back: of the day each comes once. What began since is not taken for usual. */
export const HOUR = `($2::timestamptz - interval '25 hours' - nth * interval '7 hours')`

/** What runs of the week counted, in hours of which none counted nothing at all: a job may rest. */
async function sampleCounts(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<Map<string, number[]>> {
  if (names.length === 0) return new Map()
  const hours = await reader.rows<{ name: string; counts: number[] }>({
    text: `
      select job.name, hour.counts from unnest($1::text[]) job(name) cross join generate_series(0, 23) nth
      cross join lateral (
        select array_agg("sum") filter (where "sum" is not null) as counts from (
          select ${COUNTED} as "sum" from (
            select "details" from "JobRun" where ${SUCCESSES('job.name')}
              and "startedAt" >= ${HOUR} and "startedAt" < ${HOUR} + interval '1 hour'
            ${LATEST} limit ${OF_HOUR}
          ) run
        ) counted
      ) hour
      where hour.counts is not null`,
    values: [names, now.toISOString()],
  })
  const ofJob = [...Map.groupBy(hours, ({ name }) => name)]
  return new Map(
    ofJob
      .filter(([, own]) => own.every(({ counts }) => counts.some((count) => count !== 0)))
      .map(([name, own]) => [name, own.flatMap(({ counts }) => counts)]),
  )
}

const MIN_BEFORE = 20
const MIN_IN_A_ROW = 3
const LUCK = 0.0001

/** Judges what runs have counted, the latest first: null unless they have begun to count nothing. */
export function judgeIdle(counts: readonly number[]): Pick<IdleJob, 'runs' | 'usual'> | null {
  const firstBefore = counts.findIndex((count) => count !== 0)
  const runs = firstBefore === -1 ? counts.length : firstBefore
  const before = counts.slice(runs)
  if (runs < MIN_IN_A_ROW || before.length < MIN_BEFORE) return null
  let [inARow, longest, zeros] = [0, 0, 0]
  for (const count of before) {
    inARow = count === 0 ? inARow + 1 : 0
    longest = Math.max(longest, inARow)
    if (count === 0) zeros += 1
  }
  // Few runs say little of how often there is nothing to do: two more may have had nothing.
  const share = (zeros + 2) / (before.length + 2)
  // A job that mostly has nothing to do says nothing by that; nor does one that rests at night, as it has before.
  if (zeros * 2 >= before.length || share ** runs >= LUCK || runs <= 2 * longest) return null
  return { runs, usual: median(before) }
}

export interface SlowerJob {
  name: string
  /** What half of the latest runs took or more, those of the last hour, and what half of them take usually. */
  p50Ms: number
  usualMs: number
  /** Twice what half of the slowest hour's runs took, of those that were sampled. */
  limitMs: number
  runs: number
}

const MIN_RUNS = 10
/** Nobody minds less. */
const MIN_MS = 100
const MIN_HOURS = 3

/** Lists the jobs of which half of the last hour's runs took twice as long as in any hour that was sampled of their week. */
export async function listSlower(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
): Promise<SlowerJob[]> {
  const medianOf = (from: string, to: string, name: string, limit: number) => `
    select count(*)::int as "runs", (percentile_cont(0.5) within group (order by ms))::float8 as "p50Ms" from (
      select ${MS} as ms from "JobRun"
      where ${SUCCESSES(name)} and "startedAt" >= ${from} and "startedAt" < ${to} and ${IS_FINITE}
      ${LATEST} limit ${limit}
    ) run`
  const rows = await reader.rows<SlowerJob & { hours: number[] }>({
    text: `
      with recent as materialized (
        select job.name, run.* from unnest($1::text[]) job(name)
        cross join lateral (${medianOf(`$2::timestamptz - interval '1 hour'`, '$2::timestamptz', 'job.name', 200)}) run
        where run."runs" >= ${MIN_RUNS} and run."p50Ms" >= ${MIN_MS}
      )
      select recent.name, recent."runs", recent."p50Ms", usual.hours from recent
      cross join lateral (
        select array_agg(hour."p50Ms") as hours from generate_series(0, 23) nth
        cross join lateral (${medianOf(HOUR, `${HOUR} + interval '1 hour'`, 'recent.name', MIN_RUNS)}) hour
        where hour."runs" >= ${MIN_RUNS / 2}
      ) usual
      where usual.hours is not null`,
    values: [names, now.toISOString()],
  })
  return rows.flatMap(({ hours, ...row }) =>
    isSlower(row.p50Ms, hours)
      ? [{ ...row, usualMs: median(hours), limitMs: slowerLimitMs(hours) }]
      : [],
  )
}

/** Judges what half of the runs take against what they took in other hours. */
export function isSlower(p50Ms: number, hours: readonly number[]): boolean {
  return hours.length >= MIN_HOURS && p50Ms > slowerLimitMs(hours)
}

const slowerLimitMs = (hours: readonly number[]) => 2 * Math.max(...hours)

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
