import { isScheduled, type Job } from '../job/defineJob.ts'
import { checkHealthQuery } from '../arguments/queries.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText } from './bounded.ts'
import { overrunLimitMs } from './judgeRun.ts'
import { reachesBack } from './listPoison.ts'
import { countQueue, MAX_MEASURED } from './getQueueStats.ts'
import { findLastSign, isAnyWorkerAlive, versionOf } from './listWorkers.ts'
import {
  jobsWithoutWorker,
  readPausedQueues,
  withOtherJobs,
  type PausedQueue,
} from './readQueues.ts'
import type { JobsReader } from './reader.ts'
import { listLateSchedules } from './listKeyedSchedules.ts'
import { judgeSchedule, listSchedules } from './listSchedules.ts'
import { listOverrunning } from './runsUnderWay.ts'

/**
 * What keeps jobs from being done. Instants are ISO 8601 in UTC.
 *   noWorker     No worker lives. `lastSignAt`: when one has last given a sign of life; null when none is on record.
 *   late         A tick has been due since then, and no worker has decided it.
 *                `key`: of the keyed schedule that is late for longest, where no tick of the job's own schedule is.
 *   unscheduled  Workers live, and none of them has started with this schedule: they are of an older version.
 *   overrunning  The job's longest run started then and goes on beyond its time-out and a minute of grace.
 *   orphaned     Work of a job waits that is not in the catalogue, and that no living worker takes.
 */
export type JobProblem =
  | { kind: 'noWorker'; lastSignAt: string | null }
  | { kind: 'late'; name: string; since: string; key?: string }
  | { kind: 'unscheduled'; name: string }
  | { kind: 'overrunning'; name: string; runId: string; since: string }
  | ({ kind: 'orphaned' } & OrphanedWork)

export interface JobHealth {
  /** Empty when all is well. */
  problems: JobProblem[]
  /** Jobs whose schedules somebody has paused, which is no problem. */
  paused: string[]
  /** Jobs whose queues somebody has paused, which is no problem either. */
  pausedQueues: string[]
}

/**
 * Finds what keeps the jobs of the catalogue from being done: workers, schedules and keyed schedules, runs under way,
 * and work of jobs that have left the catalogue. Six bounded statements, which a monitor may ask for every few seconds.
 */
export async function getJobHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  const asked = checkHealthQuery(reader, jobs, now)
  const names = asked.jobs.map(({ name }) => name)
  const [isAnyAlive, pauses, all] = await Promise.all([
    isAnyWorkerAlive(reader),
    readPausedQueues(reader),
    withOtherJobs(reader, names),
  ])
  const others = all.slice(names.length)
  const untaken = isAnyAlive && others.length > 0 ? await jobsWithoutWorker(reader, others) : []
  return await judgeHealth(reader, asked.jobs, asked.now, { isAnyAlive, pauses, untaken })
}

/** What was read of the workers and the queues. */
interface Found {
  isAnyAlive: boolean
  pauses: ReadonlyMap<string, PausedQueue>
  /** The jobs, except those of the catalogue, of which the queue holds anything, and that no living worker takes. */
  untaken: readonly string[]
}

/** Finds that with what was read already of the workers and the queues. */
export async function judgeHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
  { isAnyAlive, pauses, untaken }: Found,
): Promise<JobHealth> {
  const scheduled = jobs.filter(isScheduled)
  const [rowOf, lateKeyed, overrunning, orphaned] = await Promise.all([
    listSchedules(
      reader,
      scheduled.map(({ name }) => name),
    ),
    listLateSchedules(reader, now),
    listOverrunning(
      reader,
      jobs.map((job) => ({
        name: job.name,
        before: new Date(now.getTime() - overrunLimitMs(job)),
      })),
    ),
    // While no worker lives nobody can tell.
    isAnyAlive ? listOrphanedWork(reader, untaken, pauses) : [],
  ])
  const problems: JobProblem[] = isAnyAlive
    ? []
    : [{ kind: 'noWorker', lastSignAt: await findLastSign(reader) }]
  const paused: string[] = []
  for (const { name } of scheduled) {
    const row = rowOf.get(name)
    if (row === undefined) {
      if (isAnyAlive) problems.push({ kind: 'unscheduled', name })
      continue
    }
    if (row.pausedAt !== null) paused.push(name)
    const { next, lateMs } = judgeSchedule(row, now)
    if (next !== null && lateMs !== null)
      problems.push({ kind: 'late', name, since: next.toISOString() })
  }
  const isKnown = (name: string) => problems.some((one) => one.kind === 'late' && one.name === name)
  return {
    problems: [
      ...problems,
      ...lateKeyed
        .filter(({ name }) => !isKnown(name))
        .map((one) => ({ kind: 'late' as const, ...one })),
      ...overrunning.map((run) => ({ kind: 'overrunning' as const, ...run })),
      ...orphaned.map((work) => ({ kind: 'orphaned' as const, ...work })),
    ],
    paused,
    pausedQueues: [...pauses.keys()],
  }
}

/** Work of a job that neither the catalogue nor any living worker knows: nobody will ever take it. */
export interface OrphanedWork {
  name: string
  /** How many pieces wait, those for later included. */
  waiting: number
  /** Whether there may be more: what is due is counted up to 100,000, and so is the rest. */
  isCut: boolean
  /** Since when the longest waiting piece has been due; null when all is for later. */
  since: string | null
  /** When the last run of the job on record started, and the version of the host's product that it ran; null when there is none. */
  lastRunAt: string | null
  version: string | null
  /** How many of its runs started within seven days, up to 10,000; null where the record does not go back so far. */
  runsInWeek: number | null
}

const WEEK_AGO = `now() - interval '7 days'`
export const MAX_RUNS_OF_WEEK = 10_000

/** Lists what waits of jobs that nobody knows, except in paused queues, where somebody wants it to wait. */
async function listOrphanedWork(
  reader: JobsReader,
  orphans: readonly string[],
  pauses: Found['pauses'],
): Promise<OrphanedWork[]> {
  if (orphans.length === 0) return []
  const [counts, lastRuns] = await Promise.all([
    countQueue(reader, orphans),
    reader.rows<{ name: string; at: string; version: string | null; runsInWeek: number | null }>({
      text: `
        select job.name, run."startedAt" as "at", ${boundedText('run."version"')} as "version", week."runsInWeek"
        from unnest($1::text[]) job(name)
        cross join lateral (
          select "startedAt", ${versionOf('run."workerId"')} as "version" from "JobRun" run
          where ${equalsInOrder('"name"', 'job.name')} order by "name", "startedAt" desc, "id" desc limit 1
        ) run
        cross join lateral (
          select case when ${reachesBack(WEEK_AGO)} then (
            select count(*)::int from (
              select from "JobRun" where ${equalsInOrder('"name"', 'job.name')} and "startedAt" >= ${WEEK_AGO}
              order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS_OF_WEEK}
            ) latest
          ) end as "runsInWeek"
        ) week`,
      values: [orphans],
    }),
  ])
  const lastOf = new Map(lastRuns.map((run) => [run.name, run]))
  return counts
    .filter(({ name, waiting }) => waiting > 0 && !pauses.has(name))
    .map(({ name, waiting, delayed, oldestWaitingAt: since }) => ({
      name,
      waiting,
      isCut: Math.max(delayed, waiting - delayed) >= MAX_MEASURED,
      since,
      lastRunAt: lastOf.get(name)?.at ?? null,
      version: lastOf.get(name)?.version ?? null,
      runsInWeek: lastOf.get(name)?.runsInWeek ?? null,
    }))
}
