import { isScheduled, type Job } from '../job/defineJob.ts'
import { asItIs, checkDate, checkParts, checkText, listOf, wholeNumber } from '../job/argument.ts'
import { overrunLimitMs } from './judgeRun.ts'
import { judgeSchedule } from './judgeSchedule.ts'
import { listOrphanedWork } from './listOrphanedWork.ts'
import { isAnyWorkerAlive } from './listWorkers.ts'
import type { JobsReader } from './reader.ts'
import { listSchedules } from './listSchedules.ts'
import { listOverrunning } from './runsUnderWay.ts'

/** Instants are ISO 8601 in UTC. */
export type JobProblem =
  /** No worker lives. */
  | { kind: 'noWorker' }
  /** A tick of the schedule, as the catalogue or a living worker has it, has been due since then, and nobody has decided it. */
  | { kind: 'late'; name: string; since: string }
  /** Workers live, and none of them has started with this schedule: they are of an older version. */
  | { kind: 'unscheduled'; name: string }
  /** A run started then and goes on beyond its time-out and grace. */
  | { kind: 'overrunning'; name: string; since: string }
  /** Work of a job waits that is not in the catalogue, and that no living worker takes. Counted up to MAX_MEASURED. */
  | { kind: 'orphaned'; name: string; waiting: number }

export interface JobHealth {
  /** Empty when all is well. */
  problems: JobProblem[]
  /** Jobs whose schedules somebody has paused, which is no problem. */
  paused: string[]
}

const checkMs = wholeNumber(0, Number.MAX_SAFE_INTEGER)
const JOB = { name: checkText, timeoutMs: checkMs, schedule: asItIs }
const checkJobs = listOf((argument, job) => checkParts(argument, job, JOB, `${argument}.`))

/**
 * Finds problems with the jobs of the catalogue, in four statements: one reads the workers, one a row for each schedule,
 * one the runs that workers hold, and one the other jobs that have work, of which it counts what waits.
 */
export async function getJobHealth(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  checkJobs('jobs', jobs)
  checkDate('now', now)
  const scheduled = jobs.filter(isScheduled)
  const [isAnyAlive, rowOf, overrunning, orphaned] = await Promise.all([
    isAnyWorkerAlive(reader),
    listSchedules(
      reader,
      scheduled.map(({ name }) => name),
    ),
    readOverrunning(reader, jobs, now),
    listOrphanedWork(
      reader,
      jobs.map(({ name }) => name),
    ),
  ])
  const problems: JobProblem[] = isAnyAlive ? [] : [{ kind: 'noWorker' }]
  const paused: string[] = []
  for (const { name, schedule } of scheduled) {
    const row = rowOf.get(name)
    if (row === undefined) {
      if (isAnyAlive) problems.push({ kind: 'unscheduled', name })
      continue
    }
    if (row.pausedAt !== null) paused.push(name)
    const state = {
      ...row,
      cursor: new Date(row.cursor),
      updatedAt: new Date(row.updatedAt),
      isPaused: row.pausedAt !== null,
      others: [schedule, ...row.others],
    }
    const { next, lateMs } = judgeSchedule(state, now)
    if (next !== null && lateMs !== null)
      problems.push({ kind: 'late', name, since: next.toISOString() })
  }
  return {
    problems: [
      ...problems,
      ...overrunning,
      ...orphaned.map((work) => ({ kind: 'orphaned' as const, ...work })),
    ],
    paused,
  }
}

/** Reads each job's longest running run, if that overruns. */
async function readOverrunning(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobProblem[]> {
  const limits = jobs.map((job) => ({
    name: job.name,
    before: new Date(now.getTime() - overrunLimitMs(job)),
  }))
  const rows = await listOverrunning(reader, limits)
  return rows.map((row) => ({ kind: 'overrunning', ...row }))
}
