import type { Job } from '../index.ts'
import { NEUTRAL_CODES } from '../read/failureRates.ts'
import { readPausedQueues } from '../read/readQueues.ts'
import { measureQueue } from '../read/measureQueue.ts'
import { readJobHealth } from '../read/readJobHealth.ts'
import type { Reader } from '../read/reader.ts'
import { COUNT_DEAD_LETTERS_BY_CODE_SQL, MAX_COUNTED_DEAD_LETTERS } from '../store/deadLetterSql.ts'
import { subjectKey, type AlertCause, type AlertRow } from './alert.ts'

export interface AlertLimits {
  /** How large a part of a job's latest runs may fail, from 0 to 1. Over when it is half of that. Default 0.5. */
  failureRate: number
  /** Of fewer runs nothing is said. Default 3. */
  failureMinRuns: number
  /** The latest runs are those that started so long ago, and at least as many as `failureMinRuns`. Default 3,600,000 ms. */
  failureWindowMs: number
  /** With less work that waits, a queue is not said to grow. Default 100. */
  queueMinWaiting: number
  /** For how long a queue has to grow. Default 600,000 ms. */
  queueGrowthMs: number
  /** For how long there has to be no worker, or none that follows a schedule. Default 60,000 ms. */
  noWorkerMs: number
}

export const DEFAULT_LIMITS: AlertLimits = {
  failureRate: 0.5,
  failureMinRuns: 3,
  failureWindowMs: 3_600_000,
  queueMinWaiting: 100,
  queueGrowthMs: 600_000,
  noWorkerMs: 60_000,
}

export interface Causes {
  causes: readonly AlertCause[]
  /** More dead letters than were counted: one whose like was not found may be there all the same. */
  hasMoreDeadLetters: boolean
}

/**
 * What is wrong with the jobs of the catalogue, by bounded statements. `open`: the alerts there are, since what began at a
 * limit is over well below it only, or it would begin and end all day.
 */
export async function findCauses(
  reader: Reader,
  jobs: readonly Job[],
  limits: AlertLimits,
  open: readonly AlertRow[],
  now: Date,
): Promise<Causes> {
  const names = jobs.map(({ name }) => name)
  const openOf = new Map(open.map((row) => [subjectKey(row), row]))
  const failing = await findFailing(reader, names, limits, openOf, now)
  const growing = await findGrowing(reader, names, limits, openOf)
  const { rows, hasMore } = await countDeadLetters(reader, names)
  // Last: it holds locks until the transaction ends, for which a worker that comes back would wait.
  const { problems } = await readJobHealth(reader, jobs, now)
  const health = problems.map((problem): AlertCause => {
    const isOfWorkers = problem.kind === 'noWorker' || problem.kind === 'unscheduled'
    return {
      kind: problem.kind,
      name: 'name' in problem ? problem.name : '',
      code: '',
      facts: 'since' in problem ? { since: problem.since } : {},
      afterMs: isOfWorkers ? limits.noWorkerMs : 0,
    }
  })
  return { causes: [...health, ...failing, ...growing, ...rows], hasMoreDeadLetters: hasMore }
}

/** Of a job that runs all the time, the last hour may hold millions. */
const MAX_RUNS = 1_000
/** Of a job that runs once a month, the last three runs say nothing of today. */
const OLDEST_RUN_MS = 7 * 86_400_000

async function findFailing(
  reader: Reader,
  names: readonly string[],
  { failureRate, failureMinRuns, failureWindowMs }: AlertLimits,
  openOf: ReadonlyMap<string, AlertRow>,
  now: Date,
): Promise<AlertCause[]> {
  const rows = await reader.rows<{ name: string; runs: number; failed: number }>({
    // `between` for the reason that recentRunsQuery gives.
    text: `
      select job.name, count(*)::int as "runs", (count(*) filter (where last."hasFailed"))::int as "failed"
      from unnest($1::text[]) job(name)
      cross join lateral (
        select "startedAt", row_number() over (order by "startedAt" desc, "id" desc) as nth,
               "errorCode" is not null and "errorCode" <> all($5::text[]) as "hasFailed"
        from (
          select "startedAt", "id", "errorCode" from "JobRun"
          where "name" between job.name and job.name and "status" <> 'running' and not "dryRun"
            and "startedAt" >= $4::timestamptz
          order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
        ) latest
      ) last
      where last."startedAt" >= $3::timestamptz or last.nth <= $2::int
      group by job.name`,
    values: [
      names,
      failureMinRuns,
      new Date(now.getTime() - failureWindowMs).toISOString(),
      new Date(now.getTime() - Math.max(OLDEST_RUN_MS, failureWindowMs)).toISOString(),
      NEUTRAL_CODES,
    ],
  })
  return rows.flatMap(({ name, runs, failed }): AlertCause[] => {
    const subject = { kind: 'failing' as const, name, code: '' }
    const isOpen = openOf.has(subjectKey(subject))
    const least = isOpen ? failureRate / 2 : failureRate
    const isFailing = failed > 0 && failed >= least * runs && (isOpen || runs >= failureMinRuns)
    return isFailing ? [{ ...subject, facts: { failed, runs }, afterMs: 0 }] : []
  })
}

/** Work that is taken at once waits for less. */
const SHORT_WAIT_S = 60

async function findGrowing(
  reader: Reader,
  names: readonly string[],
  { queueMinWaiting, queueGrowthMs }: AlertLimits,
  openOf: ReadonlyMap<string, AlertRow>,
): Promise<AlertCause[]> {
  const measures = await measureQueue(reader, names)
  const paused = await readPausedQueues(reader)
  return measures.flatMap(({ name, state, count, oldestSeconds }): AlertCause[] => {
    // What somebody holds back is to grow.
    if (paused.has(name)) return []
    if (state !== 'ready' || count < queueMinWaiting || (oldestSeconds ?? 0) < SHORT_WAIT_S)
      return []
    const subject = { kind: 'queueGrowing' as const, name, code: '' }
    const before = openOf.get(subjectKey(subject))?.facts['waitingBefore']
    const waitingBefore = typeof before === 'number' ? before : count
    // Less than when it began to be watched: it is being caught up with.
    if (count < waitingBefore) return []
    return [{ ...subject, facts: { waiting: count, waitingBefore }, afterMs: queueGrowthMs }]
  })
}

async function countDeadLetters(
  reader: Reader,
  names: readonly string[],
): Promise<{ rows: AlertCause[]; hasMore: boolean }> {
  const found = await reader.rows<{ name: string; code: string; count: number }>({
    text: COUNT_DEAD_LETTERS_BY_CODE_SQL,
    values: [names],
  })
  const total = found.reduce((sum, { count }) => sum + count, 0)
  return {
    rows: found.map(({ name, code, count }) => ({
      kind: 'deadLetter' as const,
      name,
      code,
      facts: { count },
      afterMs: 0,
    })),
    hasMore: total >= MAX_COUNTED_DEAD_LETTERS,
  }
}
