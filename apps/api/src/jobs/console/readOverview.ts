import {
  boundedJson,
  boundedText,
  jsonNumber,
  Prisma,
  type JobRun,
  type PrismaClient,
} from '@roundsman/db'
import { countQueue, listWorkers, RUNNING_RUNS } from '@roundsman/engine/client'
import { nextTicks, type Job } from '@roundsman/engine'
import { slowLimitMs } from '../health/judgeRun.ts'
import { PROGRESS_BYTES, readProgress } from '../readProgress.ts'
import type { ConsoleAttention, ConsoleOverview } from './consoleContract.ts'
import type { HourCounts } from './createHourCounts.ts'
import { readSchedules, type JobSchedule } from './readSchedules.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NEXT_TICKS = 10

type RunningRow = Pick<JobRun, 'id' | 'name' | 'startedAt' | 'workerId'> & {
  progress: unknown
  usualMs: number | null
}
type FailedRow = {
  id: string
  name: string
  endedAt: Date
  code: string
  message: string
  due: number | null
  isApproved: boolean
  isLatest: boolean
}

export async function readOverview(
  prisma: PrismaClient,
  jobs: readonly Job[],
  now: Date,
  countHours: HourCounts,
): Promise<ConsoleOverview> {
  const names = jobs.map(({ name }) => name)
  const [workers, schedules, running, failed, queue, hours] = await Promise.all([
    listWorkers(prisma),
    readSchedules(prisma, jobs, now),
    readRunning(prisma),
    readFailed(prisma, names, now),
    countQueue(prisma, names),
    countHours(now),
  ])
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const attention: ConsoleAttention[] = []
  if (!isAnyAlive) {
    attention.push({ kind: 'noWorker', since: workers[0]?.lastSignAt.toISOString() ?? null })
  }
  attention.push(
    ...schedules.flatMap(lateness),
    ...running.flatMap((run) => overrun(run, jobs, now)),
    ...failed.flatMap(failure),
    ...queue.flatMap(({ name, deadLetters: count, oldestDeadLetterAt }) =>
      count > 0 && oldestDeadLetterAt
        ? [{ kind: 'deadLetters' as const, name, count, since: oldestDeadLetterAt.toISOString() }]
        : [],
    ),
  )
  const scheduled = schedules.filter(({ schedule }) => schedule !== null)
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => ({
      id: worker.id,
      startedAt: worker.startedAt.toISOString(),
      lastSignAt: worker.lastSignAt.toISOString(),
      liveness: worker.liveness,
      isAlive: worker.isAlive,
      running: running
        .filter(({ workerId }) => workerId === worker.id)
        .map(({ id, name, startedAt, progress }) => ({
          id,
          name,
          startedAt: startedAt.toISOString(),
          progress: readProgress(progress),
        })),
    })),
    attention,
    nextTicks: upcoming(schedules, now),
    hours,
    jobs: {
      total: jobs.length,
      scheduled: scheduled.length,
      paused: schedules.filter(({ paused }) => paused !== null).length,
      late: scheduled.filter(({ schedule }) => schedule?.lateMs != null).length,
    },
  }
}

function lateness({ name, schedule }: JobSchedule): ConsoleAttention[] {
  if (schedule?.lateMs == null || schedule.nextAt === null) return []
  return [{ kind: 'late', name, since: schedule.nextAt, lateMs: schedule.lateMs }]
}

function overrun(run: RunningRow, jobs: readonly Job[], now: Date): ConsoleAttention[] {
  const { id: runId, name, startedAt, usualMs } = run
  // Of a job that is not in the catalogue any more nobody knows what it may take.
  const job = jobs.find((each) => each.name === name) ?? { timeoutMs: Infinity }
  if (now.getTime() - startedAt.getTime() <= slowLimitMs(job, usualMs)) return []
  return [{ kind: 'overrunning', name, runId, since: startedAt.toISOString(), usualMs }]
}

function failure(row: FailedRow): ConsoleAttention[] {
  const { id: runId, name, code, message, due, isApproved, isLatest } = row
  const since = row.endedAt.toISOString()
  if (code === 'guard_blocked') {
    if (isApproved || due === null) return []
    const approvableUntil = new Date(row.endedAt.getTime() + DAY_MS).toISOString()
    return [{ kind: 'blocked', name, runId, since, due, approvableUntil }]
  }
  return isLatest ? [{ kind: 'failed', name, runId, since, code, message }] : []
}

function upcoming(schedules: readonly JobSchedule[], now: Date): ConsoleOverview['nextTicks'] {
  const ticks = schedules.flatMap(({ name, schedule, paused }) => {
    if (schedule === null || paused !== null) return []
    return nextTicks(schedule, now)
      .take(NEXT_TICKS)
      .map((at) => ({ name, at: at.toISOString() }))
      .toArray()
  })
  return ticks.toSorted((one, other) => one.at.localeCompare(other.at)).slice(0, NEXT_TICKS)
}

/** `between` for the reason that ticksQuery gives; below as well. */
async function readRunning(prisma: PrismaClient): Promise<RunningRow[]> {
  return await prisma.$queryRaw<RunningRow[]>`
    select run."id", run."name", run."startedAt", ${boundedText('run."workerId"')} as "workerId",
           ${boundedJson('run."progress"', PROGRESS_BYTES)} as "progress", usual."ms" as "usualMs"
    from ${Prisma.raw(RUNNING_RUNS)}
    left join lateral (
      select percentile_cont(0.95) within group (
               order by extract(epoch from past."endedAt" - past."startedAt") * 1000
             )::float8 as "ms"
      from (
        select "startedAt", "endedAt" from "JobRun"
        where "name" between run."name" and run."name" and "status" = 'success'
        order by "name", "startedAt" desc, "id" desc limit 100
      ) past
    ) usual on true
    order by run."startedAt" limit 500`
}

/** Of each job the last run that ended, if it failed; and what can still be approved. */
async function readFailed(prisma: PrismaClient, names: string[], now: Date): Promise<FailedRow[]> {
  const dayAgo = new Date(now.getTime() - DAY_MS).toISOString()
  return await prisma.$queryRaw<FailedRow[]>`
    select run."id", run."name", run."endedAt", run."approvedAt" is not null as "isApproved",
           ${boundedText('run."errorCode"')} as "code",
           ${boundedText(`coalesce(run."details" #>> '{error,message}', '')`)} as "message",
           ${jsonNumber(`run."details" #> '{guard,due}'`)} as "due",
           run."id" = latest."id" as "isLatest"
    from unnest(${names}::text[]) as job(name)
    cross join lateral (
      select "id" from "JobRun"
      where "name" between job.name and job.name and "status" <> 'running' and not "dryRun"
      order by "name", "startedAt" desc, "id" desc limit 1
    ) latest
    cross join lateral (
      (select * from "JobRun" where "id" = latest."id" and "status" = 'failed')
      union
      (select * from "JobRun"
       where "name" = job.name and "errorCode" = 'guard_blocked' and not "dryRun" and "startedAt" > ${dayAgo}::timestamptz
         and "approvedAt" is null
       order by "startedAt" desc limit 5)
    ) run
    order by run."endedAt" desc`
}
