import { nextTicks, type Job } from '@roundsman/engine'
import {
  countQueue,
  listFailures,
  listRunsUnderWay,
  listWorkers,
  slowLimitMs,
  type FailedRun,
  type Reader,
  type RunUnderWay,
} from '@roundsman/engine/client'
import { readProgress } from '../jobs/readProgress.ts'
import type { ConsoleAttention, ConsoleOverview } from '../contract.ts'
import type { HourCounts } from './createHourCounts.ts'
import { describeSchedules, type JobSchedule } from './describeSchedules.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NEXT_TICKS = 10

export async function readOverview(
  reader: Reader,
  jobs: readonly Job[],
  now: Date,
  countHours: HourCounts,
): Promise<ConsoleOverview> {
  const names = jobs.map(({ name }) => name)
  const [workers, schedules, running, failed, queue, hours] = await Promise.all([
    listWorkers(reader),
    describeSchedules(reader, jobs, now),
    listRunsUnderWay(reader),
    listFailures(reader, names, new Date(now.getTime() - DAY_MS)),
    countQueue(reader, names),
    countHours(now),
  ])
  const isAnyAlive = workers.some(({ isAlive }) => isAlive)
  const attention: ConsoleAttention[] = []
  if (!isAnyAlive) {
    attention.push({ kind: 'noWorker', since: workers[0]?.lastSignAt ?? null })
  }
  attention.push(
    ...schedules.flatMap(lateness),
    ...running.flatMap((run) => overrun(run, jobs, now)),
    ...failed.flatMap(failure),
    ...queue.flatMap(({ name, deadLetters: count, oldestDeadLetterAt }) =>
      count > 0 && oldestDeadLetterAt
        ? [{ kind: 'deadLetters' as const, name, count, since: oldestDeadLetterAt }]
        : [],
    ),
  )
  const scheduled = schedules.filter(({ schedule }) => schedule !== null)
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => ({
      id: worker.id,
      startedAt: worker.startedAt,
      lastSignAt: worker.lastSignAt,
      liveness: worker.liveness,
      isAlive: worker.isAlive,
      running: running
        .filter(({ workerId }) => workerId === worker.id)
        .map(({ id, name, startedAt, progress }) => ({
          id,
          name,
          startedAt,
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

function overrun(run: RunUnderWay, jobs: readonly Job[], now: Date): ConsoleAttention[] {
  const { id: runId, name, startedAt, usualMs } = run
  // Of a job that is not in the catalogue any more nobody knows what it may take.
  const job = jobs.find((each) => each.name === name) ?? { timeoutMs: Infinity }
  if (now.getTime() - Date.parse(startedAt) <= slowLimitMs(job, usualMs)) return []
  return [{ kind: 'overrunning', name, runId, since: startedAt, usualMs }]
}

function failure(row: FailedRun): ConsoleAttention[] {
  const { id: runId, name, endedAt: since, code, message, due, isApproved, isLatest } = row
  if (code === 'guard_blocked') {
    if (isApproved || due === null) return []
    const approvableUntil = new Date(Date.parse(since) + DAY_MS).toISOString()
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
