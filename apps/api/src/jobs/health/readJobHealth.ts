import { Prisma, type PrismaClient } from '@roundsman/db'
import { isAnyWorkerAlive, RUNNING_RUNS } from '@roundsman/engine/client'
import { isScheduled, type Job } from '@roundsman/engine'
import { overrunLimitMs } from './judgeRun.ts'
import { judgeSchedule } from './judgeSchedule.ts'
import { readScheduleRows } from './readScheduleRows.ts'

export type JobProblem =
  /** Nobody is there to do anything. */
  | { kind: 'noWorker' }
  /** A tick is due since then, and nobody has decided it. */
  | { kind: 'late'; name: string; since: Date }
  /** Workers live, and none of them has started with this schedule: they are of an older version. */
  | { kind: 'unscheduled'; name: string }
  /** A run since then, longer than its time-out and its grace. */
  | { kind: 'overrunning'; name: string; since: Date }

export interface JobHealth {
  /** Empty when all is well. */
  problems: JobProblem[]
  /** Somebody has paused them. That is no problem. */
  paused: string[]
}

/** As many names as one answer needs. */
const MAX_OVERRUNNING = 100

/**
 * Whether the jobs of the catalogue are done. Three statements: one looks at the workers, one at a row for each
 * schedule, and one at the runs that workers hold.
 */
export async function readJobHealth(
  prisma: Pick<PrismaClient, '$queryRaw' | '$queryRawUnsafe'>,
  jobs: readonly Job[],
  now: Date,
): Promise<JobHealth> {
  const scheduled = jobs.filter(isScheduled)
  const [isAnyAlive, rowOf, overrunning] = await Promise.all([
    isAnyWorkerAlive(prisma),
    readScheduleRows(prisma, scheduled),
    readOverrunning(prisma, jobs, now),
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
      { ...row, isPaused: row.pausedAt !== null },
      graceMs,
      now,
    )
    if (next !== null && lateMs !== null) problems.push({ kind: 'late', name, since: next })
  }
  return { problems: [...problems, ...overrunning], paused }
}

/** Of each job the run that is under way for longest, if it overruns. */
async function readOverrunning(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  jobs: readonly Job[],
  now: Date,
): Promise<JobProblem[]> {
  const names = jobs.map(({ name }) => name)
  const since = jobs.map((job) => new Date(now.getTime() - overrunLimitMs(job)).toISOString())
  const rows = await prisma.$queryRaw<{ name: string; since: Date }[]>`
    select run."name", min(run."startedAt") as "since"
    from ${Prisma.raw(RUNNING_RUNS)} join unnest(${names}::text[], ${since}::timestamptz[]) as job(name, since)
      on job.name = run."name"
    where run."startedAt" < job.since
    group by 1 order by 2 limit ${MAX_OVERRUNNING}`
  return rows.map((row) => ({ kind: 'overrunning', ...row }))
}
