import cronstrue from 'cronstrue'
import { isScheduled, nextTick, type Job } from '@roundsman/engine'
import { judgeSchedule } from '@roundsman/engine/internal'
import { listSchedules, type JobsReader, type ScheduleRow } from '@roundsman/engine/client'
import type { ConsoleJob } from '../contract.ts'

/** The state of a job's schedule. */
export type JobSchedule = Pick<ConsoleJob, 'name' | 'schedule' | 'paused'>

/** The schedules of the given jobs, in their order. */
export async function describeSchedules(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<JobSchedule[]> {
  const rowOf = await listSchedules(
    reader,
    jobs.map(({ name }) => name),
  )
  return jobs.map((job) => {
    const row = rowOf.get(job.name)
    return {
      name: job.name,
      schedule: describeSchedule(job, row, now),
      paused:
        isScheduled(job) && row?.pausedAt
          ? { at: row.pausedAt, by: row.pausedBy, reason: row.pauseReason }
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
  const { cron, timeZone } = row ?? job.schedule
  const { next, lateMs } = row
    ? judgeSchedule(row, now)
    : { next: nextTick(job.schedule, now), lateMs: null }
  return {
    ...job.schedule,
    cron,
    timeZone,
    words: cronInWords(cron),
    nextAt: next?.toISOString() ?? null,
    lateMs,
  }
}

/** Reads what the engine recorded: `0 8 * * * in UTC by A_CRON, before: 0 7 * * * in UTC`. Zones are named where they are what changed, and expressions are shown where words say the same of both. */
export function changeInWords(recorded: string): { to: string; before: string | null } {
  const [, to, zone, by = '', before, zoneBefore] =
    /^(.+) in (\S+)( by \S+)?, before: (.+) in (\S+)$/.exec(recorded) ?? []
  if (to === undefined || before === undefined) return { to: recorded, before: null }
  const isAlike = zone === zoneBefore && cronInWords(to) === cronInWords(before)
  const inWords = (cron: string, timeZone: string | undefined) => {
    const words = isAlike ? cron : cronInWords(cron)
    return zone === zoneBefore ? words : `${words} in ${timeZone}`
  }
  return { to: `${inWords(to, zone)}${by}`, before: inWords(before, zoneBefore) }
}

/** A sentence such as `Every 15 minutes` or `At 03:00`, or the expression itself if it has no short description. */
export function cronInWords(cron: string): string {
  try {
    return cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
  } catch {
    return cron
  }
}
