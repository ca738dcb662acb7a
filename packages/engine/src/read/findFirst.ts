import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText } from './bounded.ts'
import { IS_FINITE, MS, NEUTRAL_CODES, STARTED_AT } from './countRuns.ts'
import { IS_JUDGED, type RunShare } from './failureRates.ts'
import { MAX_LENGTH } from './listGroups.ts'
import { COUNTED, LATEST, SUCCESSES } from './judgeRuns.ts'
import { versionOf } from './listWorkers.ts'
import type { JobsReader } from './reader.ts'

/* Since when something is wrong with a job, and where: the first run that showed it, the only host, and whose work it is. Asked only about jobs of which it is known that something is. */

/** The first run that showed what is wrong. */
export interface FirstRun {
  runId: string
  /** When it started, as ISO 8601 in UTC. */
  at: string
  /** The version of the host's product that it ran; null when nobody knows. */
  version: string | null
  /** How many runs of the job had started with this version before, while it was new; null without one, and from 20 on. */
  runsBefore: number | null
}

/** How many of a job's runs are looked through for those of one version. */
const MAX_BEFORE = 1_000
/** A version that has had as many is no news, and not why. */
const NOT_NEW = 20

/** Finds the versions of runs, keyed by run. A run that is gone is missing. */
export async function findVersions(
  reader: JobsReader,
  runIds: readonly string[],
): Promise<Map<string, FirstRun>> {
  if (runIds.length === 0) return new Map()
  const rows = await reader.rows<FirstRun>({
    text: `
      with first as materialized (
        select "id", "name", "startedAt", ${STARTED_AT} as at, ${versionOf('run."workerId"')} as "version"
        from "JobRun" run where run."id" = any($1::uuid[])
      ), worker as materialized (
        select * from (
          select "id", "version", "startedAt" from "JobWorker"
          union select "id", "version", "startedAt" from "JobFormerWorker"
        ) any_worker where "version" in (select "version" from first)
      )
      select first."id" as "runId", first.at, ${boundedText('first."version"')} as "version",
             case when first."version" is not null and before."count" < ${NOT_NEW} then before."count" end as "runsBefore"
      from first cross join lateral (
        select case when count(*) < ${MAX_BEFORE} then (count(*) filter (
                 where "workerId" in (select worker."id" from worker where worker."version" = first."version")
               ))::int end as "count"
        from (
          select "workerId" from "JobRunAll" earlier
          where ${equalsInOrder('"name"', 'first."name"')}
            and "startedAt" >= (select min(worker."startedAt") from worker where worker."version" = first."version")
            and "startedAt" <= first."startedAt" and (first."startedAt", first."id") > (earlier."startedAt", earlier."id")
          order by "name", "startedAt" desc, "id" desc limit ${MAX_BEFORE}
        ) latest
      ) before`,
    values: [runIds],
  })
  return new Map(rows.map((row) => [row.runId, row]))
}

/** How many of a job's latest runs are looked through. */
const MAX_RUNS = 5_000
/** As for a recovery: at the job's share of failures so many successes in a row would hardly be luck. */
const LUCK = 0.001

/**
 * Finds the failed run since which a job fails: no failure before it is so near that the successes between might be luck. Null
 * where that is further back than it looks.
 */
export async function findFailingSince(
  reader: JobsReader,
  name: string,
  { runs, failed }: RunShare,
): Promise<string | null> {
  const enough = failed >= runs ? 1 : Math.ceil(Math.log(LUCK) / Math.log(1 - failed / runs))
  const [first] = await reader.rows<{ runId: string }>({
    text: `
      with latest as materialized (
        select "id", "errorCode" is not null as "isFailed", row_number() over (order by ${STARTED_AT} desc, "id" desc) as nth
        from (
          select * from "JobRun"
          where ${equalsInOrder('"name"', '$1::text')} and ${IS_JUDGED} ${LATEST} limit ${MAX_RUNS}
        ) run
      ), failure as (
        select "id", nth, lead(nth) over (order by nth) as "before", (select count(*) from latest) as "read"
        from latest where "isFailed"
      )
      select "id" as "runId" from failure
      where coalesce("before", "read" + 1) - nth > $2::int or ("before" is null and "read" < ${MAX_RUNS})
      order by nth limit 1`,
    values: [name, enough, NEUTRAL_CODES],
  })
  return first?.runId ?? null
}

/** Runs that say how long runs take at an instant, and of which half have to have taken long. */
const AROUND = 10
const POINTS = 24
const DAY_MS = 86_400_000
/** Each look narrows a day to a 24th: three come below a minute. */
const MAX_LOOKS = 5
const FEW_RUNS = 200

/** Finds the run since which a job takes longer than `limitMs`. Null where that was more than a day ago. */
export async function findSlowSince(
  reader: JobsReader,
  name: string,
  limitMs: number,
  now: Date,
): Promise<string | null> {
  return await findChange(reader, { name, value: MS, limit: limitMs }, now)
}

/** Finds the run since which a job counts nothing, likewise. */
export async function findIdleSince(
  reader: JobsReader,
  name: string,
  now: Date,
): Promise<string | null> {
  return await findChange(reader, { name, value: `(${COUNTED} = 0)::int`, limit: 0 }, now)
}

interface Change {
  name: string
  /** An expression of a run. */
  value: string
  limit: number
}

/** Finds the successful run from which on the value of most is above a limit, and before which that of most was not. */
async function findChange(reader: JobsReader, of: Change, now: Date): Promise<string | null> {
  let [from, to] = [now.getTime() - DAY_MS, now.getTime()]
  for (let look = 0; look < MAX_LOOKS; look++) {
    const stepMs = (to - from) / POINTS
    const points = Array.from({ length: POINTS }, (_, nth) => from + nth * stepMs)
    const well = await listWell(reader, of, points)
    const last = well.lastIndexOf(true)
    if (last === -1) return null
    from = points[last] as number
    to = Math.min(to, from + stepMs)
    const runs = await readValues(reader, of, new Date(from), new Date(to))
    if (runs.length < FEW_RUNS + AROUND) return splitRuns(runs, of.limit)
  }
  return null
}

/** For each instant, whether half of the last runs that started before it are not above the limit. */
async function listWell(
  reader: JobsReader,
  { name, value, limit }: Change,
  points: readonly number[],
): Promise<boolean[]> {
  const rows = await reader.rows<{ isWell: boolean }>({
    text: `
      select coalesce(before."middle" <= $2::float8, true) as "isWell"
      from unnest($3::timestamptz[]) with ordinality point(at, nth) cross join unnest(array[$1::text]) job(name)
      cross join lateral (
        select percentile_cont(0.5) within group (order by value) as "middle" from (
          select ${value} as value from "JobRun" where ${SUCCESSES('job.name')} and "startedAt" < point.at and ${IS_FINITE}
          ${LATEST} limit ${AROUND}
        ) run
      ) before
      order by nth`,
    values: [name, limit, points.map((at) => new Date(at).toISOString())],
  })
  return rows.map(({ isWell }) => isWell)
}

interface RunValue {
  runId: string
  value: number
}

/** The runs of a span and those shortly before, the oldest first. */
async function readValues(
  reader: JobsReader,
  { name, value }: Change,
  from: Date,
  to: Date,
): Promise<RunValue[]> {
  const part = (span: string, limit: number) => `(
    select "id", "startedAt", (${value})::float8 as value from "JobRun" where ${SUCCESSES('job.name')} and ${IS_FINITE} and ${span}
    ${LATEST} limit ${limit}
  )`
  // The span as a row: PostgreSQL would read one that it knows of all jobs' runs.
  return await reader.rows<RunValue>({
    text: `
      select run."id" as "runId", run.value from unnest(array[$1::text], array[$2::timestamptz], array[$3::timestamptz]) job(name, since, until) cross join lateral (
        ${part('"startedAt" < since', AROUND)} union all
        ${part('"startedAt" >= since and "startedAt" < until', FEW_RUNS)}
      ) run order by "startedAt", "id"`,
    values: [name, from.toISOString(), to.toISOString()],
  })
}

/** The run from which on as many as possible are above the limit, and before which as few as possible are. */
function splitRuns(runs: readonly RunValue[], limit: number): string | null {
  let [best, at, fits] = [-Infinity, -1, 0]
  for (const [nth, { value }] of runs.entries()) {
    // The latest of equals: what is above it between two that are not belongs to neither.
    if (value > limit && fits >= best) [best, at] = [fits, nth]
    fits += value > limit ? -1 : 1
  }
  return runs[at]?.runId ?? null
}

/** The one host on which all failed, and those on which as many ran and none did. */
export interface FailingHost {
  host: string
  others: string[]
}

const MAX_RUNS_OF_HOSTS = 1_000
/** Fewer may be there by chance. */
const MIN_RUNS_OF_HOST = 3

/** Looks through the runs of a failing job that started since an instant; null where failures, or none, are on several hosts. */
export async function findFailingHost(
  reader: JobsReader,
  name: string,
  from: Date,
): Promise<FailingHost | null> {
  const hosts = await reader.rows<{ host: string; runs: number; failed: number }>({
    text: `
      select ${boundedText('"host"')} as "host", count(*)::int as "runs", count("errorCode")::int as "failed" from (
        select split_part("workerId", ':', 1) as "host", "errorCode" from "JobRun"
        where ${equalsInOrder('"name"', '$1::text')} and "startedAt" >= $2::timestamptz and ${IS_JUDGED}
        ${LATEST} limit ${MAX_RUNS_OF_HOSTS}
      ) run group by 1 order by 2 desc, 1 limit 100`,
    values: [name, from.toISOString(), NEUTRAL_CODES],
  })
  const [first, ...more] = hosts.filter(({ failed }) => failed > 0)
  const others = hosts.filter(({ runs, failed }) => failed === 0 && runs >= MIN_RUNS_OF_HOST)
  if (
    first === undefined ||
    more.length > 0 ||
    first.failed < MIN_RUNS_OF_HOST ||
    others.length === 0
  )
    return null
  return { host: first.host, others: others.slice(0, 3).map(({ host }) => host) }
}

/** What the failures of a job have in common: a label, or the value of a field that it shows, of which others run well. */
export interface FailingGroup {
  /** Null: they have the same label. */
  field: string | null
  value: string
  /** How many of the `of` failures that were looked at have it. */
  failed: number
  of: number
}

/** So many of the failures have it in common. */
const NEARLY_ALL = 0.95
/** How likely those of others may succeed by chance. */
const CHANCE = 0.01

/** Looks through the runs of a failing job that started since an instant; null where the failures have nothing in common. */
export async function findFailingGroup(
  reader: JobsReader,
  name: string,
  from: Date,
): Promise<FailingGroup | null> {
  const groups = await reader.rows<
    FailingGroup & { runs: number; others: number; othersFailed: number }
  >({
    text: `
      with run as materialized (
        select "label", "shown", "errorCode" from "JobRun"
        where ${equalsInOrder('"name"', '$1::text')} and "startedAt" >= $2::timestamptz and ${IS_JUDGED}
        ${LATEST} limit ${MAX_RUNS}
      ), total as materialized (
        select count(*)::int as "runs", count("errorCode")::int as "failed" from run
      )
      select one.*, total."failed" as "of", total."runs" - one."runs" as "others", total."failed" - one."failed" as "othersFailed"
      from total cross join (
        select "field", "value", count(*)::int as "runs", count("errorCode")::int as "failed" from (
          select null as "field", "label" as "value", "errorCode" from run where "label" is not null
          union all
          select each."key", each."value", "errorCode" from run
          cross join lateral jsonb_each_text(case when jsonb_typeof("shown") = 'object' then "shown" else '{}' end) each
          where each."value" <> ''
        ) shown where greatest(length("field"), length("value")) <= ${MAX_LENGTH}
        group by 1, 2
      ) one
      where one."failed" >= ${MIN_RUNS_OF_HOST} and one."failed" >= ${NEARLY_ALL} * total."failed"
      order by "field" nulls first, one."runs", "value" limit 20`,
    values: [name, from.toISOString(), NEUTRAL_CODES],
  })
  const main = groups.find(({ runs, failed, others, othersFailed }) => {
    const areWell = others >= MIN_RUNS_OF_HOST && othersFailed * 20 <= others
    return areWell && (1 - failed / runs) ** (others - othersFailed) < CHANCE
  })
  if (main === undefined) return null
  const { field, value, failed, of } = main
  return { field, value, failed, of }
}
