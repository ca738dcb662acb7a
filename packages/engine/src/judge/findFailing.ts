import { boundedText, thrownOf } from '../read/bounded.ts'
import { ENDED_AT, NEUTRAL_CODES, STARTED_AT } from '../read/countRuns.ts'
import type { JobsReader } from '../read/reader.ts'
import { equalsInOrder } from '../database/equalsInOrder.ts'
import type { Job } from '../job/defineJob.ts'
import { findFirstRuns, sayFirstRun } from './findFirstRun.ts'
import type { Found } from './problem.ts'
import { counted, listed, many, spanSince } from './words.ts'

/** A job fails if at least this share of the last hour's runs failed and at least MANY did; with FEW, a quarter must fail. */
export const FAILURE_RATE = 0.1
const MANY = 30
export const FEW = 5
const RATE_OF_FEW = 0.25
/** A job with fewer runs in the hour also fails if its last three runs did, or all runs of a day. */
const IN_A_ROW = 3

/** The runs of a job that are judged, and the failed ones: those that ended in the last hour, or the job's last ones. */
export interface JobFailures {
  name: string
  runs: number
  failed: number
  /** Runs that ended in the last 15 minutes. */
  recentRuns: number
  recentFailed: number
  /** The start of the first of these runs. ISO 8601 in UTC. */
  from: string
  /** Whether more runs ended in the hour than were counted. The latest were counted. */
  isCut: boolean
  /** The most frequent code, its number of runs, and the last of these, with its end and the class and frame of its error. */
  code: string
  withCode: number
  lastRunId: string
  lastAt: string
  /** The class of its error and the first frame, as `TypeError at send (src/send.ts:3:4)`; empty if unknown. */
  thrown: string
  /** Successes since the last failure. */
  succeededSince: number
  /** How many of the job's last runs failed in a row, and how many runs it had in the day before the last; at most three. */
  inARow: number
  ofDay: number
}

/** Maximum of runs to read of each job, and of all together. If everything fails, many jobs do. */
const MAX_RUNS = 5_000
const MAX_OF_ALL = 100_000
/** The last three runs are searched among this many of a job's latest. */
const MAX_LAST = 20

/** Runs that people, guards, drains, expiry, rate limits or lost workers have ended are not judged. */
const NOT_JUDGED = [...NEUTRAL_CODES, 'worker_lost']
const IS_JUDGED = `"status" not in ('running', 'suspended') and not "dryRun" and ("errorCode" is null or "errorCode" <> all($3::text[]))`
const OF = equalsInOrder('"name"', 'job.name')
const LATEST = `order by "name", "startedAt" desc, "id" desc`
const AN_HOUR_AGO = `$2::timestamptz - interval '1 hour'`
/** Runs that ended within the hour started at most the job's time-out earlier. */
const FROM = `${AN_HOUR_AGO} - job."timeoutMs" * interval '1 millisecond'`

/**
 * A row for each of the jobs `$1` with the time-outs `$4` that had failures within an hour before `$2`, or whose last run
 * failed.
 */
const FAILURES_SQL = `
  with job as materialized (
    select job.*, last.* from unnest($1::text[], $4::float8[]) job(name, "timeoutMs") cross join lateral (
      select (coalesce(min(nth) filter (where "errorCode" is null), count(*) + 1) - 1)::int as "inARow", max(at) as "lastAt",
             (count(*) filter (where at >= latest - interval '1 day'))::int as "ofDay", max("endedAt") as "lastEndedAt"
      from (
        select *, row_number() over (order by at desc, "id" desc) as nth, max(at) over () as latest from (
          select "id", "errorCode", ${STARTED_AT} as at, ${ENDED_AT} as "endedAt", "status", "dryRun" from "JobRun"
          where ${OF} and "status" not in ('running', 'suspended') and not "dryRun" ${LATEST} limit ${MAX_LAST}
        ) ended where ${IS_JUDGED} order by nth limit ${IN_A_ROW}
      ) run
    ) last
    where last."inARow" > 0 or exists (
      select from (
        select "errorCode", "dryRun" from "JobRun" where ${OF} and "errorCode" is not null and "startedAt" >= ${FROM} ${LATEST} limit ${MAX_RUNS}
      ) latest where "errorCode" <> all($3::text[]) and not "dryRun"
    )
  ), budget as materialized (
    select least(${MAX_RUNS}, ${MAX_OF_ALL} / greatest(count(*), 1)) as most from job
  ), run as materialized (
    select job.name, run.*, max("endedAt") filter (where "code" is not null) over (partition by job.name) as "lastFailureAt"
    from job cross join lateral (
      select "id", "errorCode" as "code", at, "endedAt", "isCut" from (
        select *, count(*) over () = (select most from budget) and min(at) over () > ${AN_HOUR_AGO} as "isCut" from (
          select "id", "errorCode", ${STARTED_AT} as at, ${ENDED_AT} as "endedAt", "status", "dryRun" from "JobRun"
          where ${OF} and "startedAt" >= least(${FROM}, case when job."inARow" > 0 then job."lastAt" end) ${LATEST} limit (select most from budget)
        ) latest
      ) read where ${IS_JUDGED} and "endedAt" >= least(${AN_HOUR_AGO}, case when job."inARow" > 0 then job."lastEndedAt" end)
    ) run
  ), main as materialized (
    select distinct on (name) name, "code", count(*)::int as "withCode", (array_agg("id" order by "endedAt" desc, "id" desc))[1] as "lastRunId",
           max("endedAt") as "lastAt"
    from run where "code" is not null group by 1, 2 order by 1, 3 desc, max("endedAt") desc
  ), own as materialized (
    select name, count(*)::int as "runs", count("code")::int as "failed", min(at) as "from", bool_or("isCut") as "isCut",
           (count(*) filter (where "endedAt" >= $2::timestamptz - interval '15 minutes'))::int as "recentRuns",
           (count("code") filter (where "endedAt" >= $2::timestamptz - interval '15 minutes'))::int as "recentFailed",
           (count(*) filter (where "code" is null and "endedAt" > "lastFailureAt"))::int as "succeededSince"
    from run group by name
  )
  select own.*, main."withCode", main."lastRunId", ${boundedText('main."code"')} as "code", main."lastAt", ${thrownOf('last."details"')} as "thrown",
         job."inARow", job."ofDay"
  from job join own using (name) join main using (name) join "JobRun" last on last."id" = main."lastRunId"
  order by own."failed" desc, job.name`

/** Counts the failures of these jobs. Jobs without failures are missing. */
export async function readFailures(
  reader: JobsReader,
  jobs: readonly Pick<Job, 'name' | 'timeoutMs'>[],
  now: Date,
): Promise<JobFailures[]> {
  return await reader.rows<JobFailures>({
    text: FAILURES_SQL,
    values: [
      jobs.map(({ name }) => name),
      now.toISOString(),
      NOT_JUDGED,
      jobs.map(({ timeoutMs }) => timeoutMs),
    ],
  })
}

/** Whether the failures of a job need attention. An open alert ends at half of the limits. */
export function isFailing(
  { runs, failed, inARow, ofDay }: JobFailures,
  { failureRate = FAILURE_RATE, wasTold = false } = {},
): boolean {
  const isInARow = runs < FEW && inARow > 0 && inARow >= ofDay
  return isTooMuch(failed, runs, { failureRate, wasTold }) || isInARow
}

/** Whether the failed share of all runs is too large. */
export function isTooMuch(
  count: number,
  all: number,
  { failureRate = FAILURE_RATE, wasTold = false } = {},
): boolean {
  const share = (count / all) * (wasTold ? 2 : 1)
  return (
    (count >= MANY && share >= failureRate) ||
    (count >= FEW && share >= Math.max(RATE_OF_FEW, failureRate))
  )
}

/** Whether it has stopped failing: no failure in the last 15 minutes, and a success since the last failure. */
const isOver = ({ recentFailed, succeededSince }: JobFailures) =>
  recentFailed === 0 && succeededSince > 0

/** Maximum of jobs whose versions are compared. */
const MAX_LOOKED = 20

/** Finds failing jobs. Jobs that fail because of one version, or one error, are one problem. */
export async function findFailing(
  reader: JobsReader,
  failing: readonly JobFailures[],
  now: Date,
): Promise<Found[]> {
  const looked = failing.slice(0, MAX_LOOKED)
  const [firsts, splits] = await Promise.all([
    findFirstRuns(
      reader,
      looked.map(({ name, code }) => ({ name, code })),
    ),
    findVersionSplits(reader, looked),
  ])
  const causeOf = (one: JobFailures) => {
    // A new version alone is no cause: unrelated errors may come with it.
    const version = splits.get(one.name)?.failing
    if (version !== undefined) return `version ${version}`
    return one.thrown.includes('at ') ? `error ${one.code} ${one.thrown}` : `job ${one.name}`
  }
  const groups = Map.groupBy(failing, (one) => `${isOver(one)} ${causeOf(one)}`)
  return [...groups.values()].map((group): Found => {
    const [main] = group as [JobFailures]
    const sum = (part: 'runs' | 'failed' | 'recentRuns' | 'recentFailed') =>
      group.reduce((total, one) => total + one[part], 0)
    const jobs = group.map(({ name }) => name)
    const codes = group.map(({ name, code, failed: letters }) => ({ name, code, letters }))
    const withCode = group
      .filter(({ code }) => code === main.code)
      .reduce((total, one) => total + one.withCode, 0)
    const first = group
      .flatMap(({ name }) => firsts.get(name) ?? [])
      .toSorted((one, other) => one.at.localeCompare(other.at))[0]
    const split = splits.get(main.name)
    const runs = sum('runs')
    const isCut = group.some((one) => one.isCut)
    const said = { jobs, runs, failed: sum('failed'), withCode, isCut, main, isOver: isOver(main) }
    return {
      kind: 'failing',
      stage: isOver(main) ? 'over' : 'losing',
      jobs,
      text: `${sayFailures(said, now)}${sayVersions(split)}.${sayFirstRun(first, now)}`,
      note: isOver(main) ? 'No run has failed like this in the last 15 minutes.' : null,
      since: first?.at ?? main.from,
      runId: main.lastRunId,
      code: main.code,
      count: said.failed,
      isCut,
      // A run or two of a job that seldom runs are single pieces.
      reach: said.failed < FEW ? 0.5 : jobs.length,
      share: sum('recentFailed') / Math.max(1, sum('recentRuns')),
      causes: codes,
    }
  })
}

/**
 * Formats `12 of 40 runs of sendReceipt failed in the last hour, 10 with smtp_unavailable (SmtpError at send
 * (src/mail.ts:12:9))`.
 */
function sayFailures(
  {
    jobs,
    runs,
    failed,
    withCode,
    isCut,
    main,
    isOver: wasOver,
  }: {
    jobs: string[]
    runs: number
    failed: number
    withCode: number
    isCut: boolean
    main: JobFailures
    isOver: boolean
  },
  now: Date,
): string {
  const thrown = main.thrown === '' ? '' : ` (${main.thrown})`
  const ofJobs = listed(jobs)
  const isOfHour = Date.parse(main.lastAt) >= now.getTime() - 3_600_000
  const areAllAlike = runs === main.inARow && withCode === failed
  if (jobs.length === 1 && !wasOver && main.inARow > 0 && (areAllAlike || !isOfHour)) {
    const [which, last] =
      main.inARow === 1 ? ['The last run', ''] : [`The last ${main.inARow} runs`, 'the last ']
    const of = `${which} of ${ofJobs} failed`
    const at = `${last}${spanSince(main.lastAt, now)} ago`
    // The codes of earlier failures are unknown.
    return main.inARow === 1 || areAllAlike
      ? `${of} with ${main.code}${thrown}, ${at}`
      : `${of}, ${at} with ${main.code}${thrown}`
  }
  const all = isCut ? `the last ${many(runs, 'run')}` : many(runs, 'run')
  const span = isCut ? `since ${spanSince(main.from, now)} ago` : 'in the last hour'
  const code = withCode === failed ? 'with' : `${counted(withCode)} with`
  return `${counted(failed)} of ${all} of ${ofJobs} failed ${span}, ${code} ${main.code}${thrown}`
}

/** The only version whose runs fail, and other versions with as many successes. */
interface VersionSplit {
  failing: string
  well: string[]
}

const sayVersions = (split: VersionSplit | undefined) =>
  split === undefined ? '' : `, all on ${split.failing}, none on ${listed(split.well)}`

/** Minimum of successful runs of another version. */
const MIN_WELL = 3

/** Finds for each job whether only one version fails. */
async function findVersionSplits(
  reader: JobsReader,
  failing: readonly JobFailures[],
): Promise<Map<string, VersionSplit>> {
  if (failing.length === 0) return new Map()
  const rows = await reader.rows<{
    name: string
    version: string | null
    runs: number
    failed: number
  }>({
    text: `
      select job.name, ${boundedText('worker."version"')} as "version", sum("runs")::int as "runs", sum("failed")::int as "failed"
      from unnest($1::text[], $2::timestamptz[]) job(name, since) cross join lateral (
        select "workerId", count(*) as "runs", count("errorCode") as "failed" from (
          select "workerId", "errorCode", "status", "dryRun" from "JobRun" where ${OF} and "startedAt" >= job.since ${LATEST} limit ${MAX_RUNS}
        ) run where ${IS_JUDGED} group by 1
      ) run left join (
        select "id", "version" from "JobWorker" union select "id", "version" from "JobFormerWorker"
      ) worker on worker."id" = run."workerId"
      group by 1, 2 order by 1, 3 desc, 2`,
    values: [failing.map(({ name }) => name), failing.map(({ from }) => from), NOT_JUDGED],
  })
  const splits = [...Map.groupBy(rows, ({ name }) => name)].flatMap(([name, versions]) => {
    const bad = versions.filter(({ failed }) => failed > 0)
    const well = versions.filter(({ runs, failed }) => failed === 0 && runs >= MIN_WELL)
    const [only] = bad
    const others = well.flatMap(({ version }) => version ?? [])
    if (only === undefined || only.version === null || bad.length > 1 || others.length === 0)
      return []
    return [[name, { failing: only.version, well: others }] as const]
  })
  return new Map(splits)
}
