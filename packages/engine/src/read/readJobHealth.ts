import { isScheduled, type Job } from '../index.ts'
import { overrunLimitMs } from './judgeRun.ts'
import { judgeSchedule } from './judgeSchedule.ts'
import { isAnyWorkerAlive } from './listWorkers.ts'
import type { Reader } from './reader.ts'
import { readSchedules } from './readSchedules.ts'
import { listOverrunning } from './runsUnderWay.ts'

/** Instants are ISO 8601 in UTC. */
export type JobProblem =
  /** Nobody is there to do anything. */
  | { kind: 'noWorker' }
  /** A tick is due since then, and nobody has decided it. */
  | { kind: 'late'; name: string; since: string }
  /** Workers live, and none of them has started with this schedule: they are of an older version. */
  | { kind: 'unscheduled'; name: string }
  /** A run since then, longer than its time-out and its grace. */
  | { kind: 'overrunning'; name: string; since: string }

export interface JobHealth {
  /** Empty when all is well. */
  problems: JobProblem[]
  /** Somebody has paused them. That is no problem. */
  paused: string[]
}

/**
 * Whether the jobs of the catalogue are done. Three statements: one looks at the workers, one at a row for each
 * schedule, and one at the runs that workers hold.
 */
export async function readJobHealth(
  reader: Reader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  const scheduled = jobs.filter(isScheduled)
  const [isAnyAlive, rowOf, overrunning] = await Promise.all([
    isAnyWorkerAlive(reader),
    readSchedules(
      reader,
      scheduled.map(({ name }) => name),
    ),
    readOverrunning(reader, jobs, now),
  ])
  const problems: JobProblem[] = isAnyAlive ? [] : [{ kind: 'noWorker' }]
  const paused: string[] = []
  for (const { name, graceMs } of scheduled) {
    const row = rowOf.get(name)
    if (row === undefined) {
      if (isAnyAlive) problems.push({ kind: 'unscheduled', name })
      continue
    }
    if (row.pausedAt !== null) paused.push(name)
    const { next, lateMs } = judgeSchedule(
      { ...row, cursor: new Date(row.cursor), isPaused: row.pausedAt !== null },
      graceMs,
      now,
    )
    if (next !== null && lateMs !== null)
      problems.push({ kind: 'late', name, since: next.toISOString() })
  }
  return { problems: [...problems, ...overrunning], paused }
}

/** Of each job the run that is under way for longest, if it overruns. */
async function readOverrunning(
  reader: Reader,
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
