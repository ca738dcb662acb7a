import type { PrismaClient } from '@roundsman/db'
import { isScheduled, nextTick, type Job } from '@roundsman/runtime/contract'
import cronstrue from 'cronstrue'
import type { ConsoleJob } from './consoleContract.ts'

/** Where a job's schedule stands. */
export type JobSchedule = Pick<ConsoleJob, 'name' | 'schedule' | 'paused'>

/** A tick is late when nobody has decided it for so long: workers do it every second. */
const LATE_AFTER_MS = 10_000

type ScheduleRow = {
  name: string
  cron: string
  timeZone: string
  cursor: Date
  pausedAt: Date | null
  pausedBy: string | null
  pauseReason: string | null
}
/** The given jobs' schedules, in their order. */
export async function readSchedules(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  jobs: readonly Job[],
  now: Date,
): Promise<JobSchedule[]> {
  const rows = await prisma.$queryRaw<ScheduleRow[]>`
    select "name", "cron", "timeZone", "cursor", "pausedAt", "pausedBy", "pauseReason"
    from "JobSchedule" where "name" = any(${jobs.map(({ name }) => name)})`
  const rowOf = new Map(rows.map((row) => [row.name, row]))
  return jobs.map((job) => {
    const row = rowOf.get(job.name)
    return {
      name: job.name,
      schedule: describeSchedule(job, row, now),
      paused:
        isScheduled(job) && row?.pausedAt
          ? { at: row.pausedAt.toISOString(), by: row.pausedBy, reason: row.pauseReason }
          : null,
    }
  })
}

function describeSchedule(
  job: Job,
  row: ScheduleRow | undefined,
  now: Date,
): ConsoleJob['schedule'] {
  if (!isScheduled(job)) return null
  const { missed, overlap, catchUpMs } = job.schedule
  const { cron, timeZone } = row ?? job.schedule
  const isPaused = row?.pausedAt != null
  // From where the ledger ends: a tick that is due and not decided is the next one.
  const next = isPaused ? null : nextTick({ cron, timeZone }, row?.cursor ?? now)
  const lateMs = next === null ? 0 : now.getTime() - next.getTime()
  return {
    cron,
    timeZone,
    words: inWords(cron),
    missed,
    overlap,
    catchUpMs,
    nextAt: next?.toISOString() ?? null,
    lateMs: lateMs > LATE_AFTER_MS ? lateMs : null,
  }
}

function inWords(cron: string): string {
  try {
    return cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
  } catch {
    return cron
  }
}
