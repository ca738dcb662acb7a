import type { Job } from '../job/defineJob.ts'
import { NEUTRAL_CODES } from '../read/failureRates.ts'
import { getOldestSnapshot, isSnapshotOld, nameSnapshotHolder } from '../read/getOldestSnapshot.ts'
import { listOrphans } from '../read/listOrphanedWork.ts'
import { readPausedQueues } from '../read/readQueues.ts'
import { getQueueStats } from '../read/getQueueStats.ts'
import { getJobHealth, type JobProblem } from '../read/getJobHealth.ts'
import type { JobsReader } from '../read/reader.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { listCauses } from '../read/listDeadLetters.ts'
import { MAX_COUNTED_DEAD_LETTERS } from '../store/deadLetterSql.ts'
import { subjectKey, type AlertCause, type AlertRow } from './alert.ts'

/** When something counts as wrong. Infinity for the least count or the shortest time of an alert switches it off. */
export interface AlertLimits {
  /** Which share of a job's latest runs may fail, from 0 to 1. The alert ends below half of it. Default 0.5. */
  failureRate: number
  /** With fewer runs a job is never failing. Default 3. */
  failureMinRuns: number
  /** The latest runs are those that started within this time, and at least `failureMinRuns`. Default 3,600,000 ms. */
  failureWindowMs: number
  /** With less waiting work a queue does not count as growing. Default 100. */
  queueMinWaiting: number
  /** How long a queue has to grow. Default 600,000 ms. */
  queueGrowthMs: number
  /** How long there has to be no worker, or none that has a schedule or takes orphaned work. Default 60,000 ms. */
  noWorkerMs: number
  /** How long a transaction may keep old rows from being removed. Default 600,000 ms. */
  snapshotMs: number
}

export const DEFAULT_LIMITS: AlertLimits = {
  failureRate: 0.5,
  failureMinRuns: 3,
  failureWindowMs: 3_600_000,
  queueMinWaiting: 100,
  queueGrowthMs: 600_000,
  noWorkerMs: 60_000,
  snapshotMs: 600_000,
}

export interface Causes {
  causes: readonly AlertCause[]
  /** There are more dead letters than were counted, so a cause that was not found may still exist. */
  hasMoreDeadLetters: boolean
  /** The other jobs whose work was looked at. */
  orphans: readonly string[]
}

/**
 * Finds what is wrong with the jobs of the catalogue, by bounded statements. `open`: the alerts that go on. One that began at
 * a limit ends only well below it; otherwise it would begin and end all day.
 */
export async function findCauses(
  reader: JobsReader,
  jobs: readonly Job[],
  limits: AlertLimits,
  open: readonly AlertRow[],
  now: Date,
): Promise<Causes> {
  const names = jobs.map(({ name }) => name)
  const openOf = new Map(open.map((row) => [subjectKey(row), row]))
  const failing = await findFailing(reader, names, limits, openOf, now)
  const told = open.flatMap(({ name }) => (name === '' ? [] : [name]))
  const orphans = await listOrphans(reader, names, told)
  const growing = await findGrowing(reader, names, limits, openOf)
  const { rows, hasMore } = await countDeadLetters(reader, [...names, ...orphans], openOf)
  const snapshots = await findSnapshots(reader, limits, now)
  // Last, because it holds locks of workers until the transaction ends, and a worker that comes back waits for its own.
  const { problems } = await getJobHealth(reader, jobs, now)
  const health = problems.map((problem) => toCause(problem, limits))
  const causes = [...health, ...failing, ...growing, ...rows, ...snapshots]
  return { causes, hasMoreDeadLetters: hasMore, orphans }
}

/** A problem of a job or of all workers as a cause. While workers restart there may be none for a moment. */
function toCause(problem: JobProblem, { noWorkerMs }: AlertLimits): AlertCause {
  const { kind, name = '', ...facts } = { name: undefined, ...problem }
  const isOfWorkers = kind === 'noWorker' || kind === 'unscheduled' || kind === 'orphaned'
  return { kind, name, code: '', facts, afterMs: isOfWorkers ? noWorkerMs : 0 }
}

/** Runs to look at: the last hour of a busy job may have millions. */
const MAX_RUNS = 1_000
/** Older runs do not count: the last three of a monthly job say nothing about today. */
const OLDEST_RUN_MS = 7 * 86_400_000

async function findFailing(
  reader: JobsReader,
  names: readonly string[],
  { failureRate, failureMinRuns, failureWindowMs }: AlertLimits,
  openOf: ReadonlyMap<string, AlertRow>,
  now: Date,
): Promise<AlertCause[]> {
  const rows = await reader.rows<{ name: string; runs: number; failed: number }>({
    text: `
      select job.name, count(*)::int as "runs", (count(*) filter (where last."hasFailed"))::int as "failed"
      from unnest($1::text[]) job(name)
      cross join lateral (
        select "startedAt", row_number() over (order by "name", "startedAt" desc, "id" desc) as nth,
               "errorCode" is not null and "errorCode" <> all($5::text[]) as "hasFailed"
        from (
          select "startedAt", "id", "errorCode" from "JobRun"
          where ${equalsInOrder('"name"', 'job.name')} and "status" <> 'running' and not "dryRun"
            and "startedAt" >= $4::timestamptz
          order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
        ) latest
      ) last
      where last."startedAt" >= $3::timestamptz or last.nth <= $2::int
      group by job.name`,
    values: [
      names,
      Math.min(Math.ceil(failureMinRuns), MAX_RUNS),
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

/** A queue does not count as growing while its oldest work has waited for less: workers take its work at once. */
const SHORT_WAIT_S = 60

/** Finds jobs whose ready work waits for long and grows, unless somebody has paused their queue. */
async function findGrowing(
  reader: JobsReader,
  names: readonly string[],
  { queueMinWaiting, queueGrowthMs }: AlertLimits,
  openOf: ReadonlyMap<string, AlertRow>,
): Promise<AlertCause[]> {
  const measures = await getQueueStats(reader, names)
  const paused = await readPausedQueues(reader)
  return measures.flatMap(({ name, state, count, oldestSeconds }): AlertCause[] => {
    // A paused queue grows, as somebody wants it to. Of other jobs the alert about orphans tells.
    if (paused.has(name) || !names.includes(name)) return []
    if (state !== 'ready' || count < queueMinWaiting || (oldestSeconds ?? 0) < SHORT_WAIT_S)
      return []
    const subject = { kind: 'queueGrowing' as const, name, code: '' }
    const before = openOf.get(subjectKey(subject))?.facts['waitingBefore']
    const waitingBefore = typeof before === 'number' ? before : count
    // Less work than when the alert began: the workers are catching up.
    if (count < waitingBefore) return []
    return [{ ...subject, facts: { waiting: count, waitingBefore }, afterMs: queueGrowthMs }]
  })
}

async function findSnapshots(
  reader: JobsReader,
  { snapshotMs }: AlertLimits,
  now: Date,
): Promise<AlertCause[]> {
  const holder = await getOldestSnapshot(reader)
  if (holder === null || !isSnapshotOld(holder, now, snapshotMs)) return []
  const { since, transactions } = holder
  const facts = {
    holder: nameSnapshotHolder(holder),
    transactions,
    ...(since !== null && { since }),
  }
  return [{ kind: 'oldSnapshot', name: '', code: '', facts, afterMs: 0 }]
}

/** Handlers make up their codes, so each dead letter may have its own; people want no message for each. */
const MAX_CODES_OF_JOB = 20

/** Counts the dead letters of each job by their code. */
async function countDeadLetters(
  reader: JobsReader,
  names: readonly string[],
  openOf: ReadonlyMap<string, AlertRow>,
): Promise<{ rows: AlertCause[]; hasMore: boolean }> {
  const found = await listCauses(reader, names, MAX_COUNTED_DEAD_LETTERS)
  const causeOf = (name: string, code: string, count: number): AlertCause => ({
    kind: 'deadLetter',
    name,
    code,
    facts: { count },
    afterMs: 0,
  })
  const isOpen = (cause: AlertCause) => openOf.has(subjectKey(cause))
  const rows = [...Map.groupBy(found, ({ name }) => name)].flatMap(([name, ofJob]) => {
    const causes = ofJob.map(({ code, count }) => causeOf(name, code, count))
    // Those that go on stay, whatever comes beside them.
    const own = [...causes.filter(isOpen), ...causes.filter((cause) => !isOpen(cause))]
    const rest = own.splice(MAX_CODES_OF_JOB)
    const others = rest.reduce((sum, { facts }) => sum + Number(facts['count']), 0)
    return rest.length === 0 ? own : [...own, causeOf(name, '', others)]
  })
  return { rows, hasMore: found.some(({ isCut }) => isCut) }
}
