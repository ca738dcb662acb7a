import {
  countKeyedSchedules,
  createLocalTime,
  nextTicks,
  findLastActionOfJob,
  listJobActions,
  listRunCounts,
  listVersionChanges,
  measureDuration,
  sampleRuns,
} from '@roundsman/engine/internal'
import type { Job, Schedule } from '@roundsman/engine'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleJobDetail } from '../contract.ts'
import type { JobDays } from './createJobDays.ts'
import { changeInWords } from './describeSchedules.ts'
import { readJobs } from './readJobs.ts'
import { readQueueJobs } from './readQueue.ts'

const DAY_MS = 86_400_000
const HORIZON_MS = 30 * DAY_MS
const MAX_TICKS = 1_000
const MAX_ACTIONS = 20
const SAMPLED_DAYS = 60
const COUNTED_RUNS = 60

export async function readJobDetail(
  reader: JobsReader,
  wanted: Job,
  jobs: readonly Job[],
  now: Date,
  readDays: JobDays,
): Promise<ConsoleJobDetail> {
  const { name } = wanted
  const all = jobs.map((each) => each.name)
  const [
    [job],
    [queue],
    { days, hours, cutBefore },
    duration,
    counted,
    actions,
    changed,
    schedules,
  ] = await Promise.all([
    readJobs(reader, [wanted], now),
    readQueueJobs(reader, [name], all),
    readDays(name, now),
    measureDuration(reader, name),
    listRunCounts(reader, name, COUNTED_RUNS),
    listJobActions(reader, name, MAX_ACTIONS),
    findLastActionOfJob(reader, name, ['reschedule']),
    countKeyedSchedules(reader, name),
  ])
  const firstMs = Math.max(
    Date.parse(hours[0]?.from ?? days[0]?.date ?? now.toISOString()),
    now.getTime() - SAMPLED_DAYS * DAY_MS,
  )
  const [sample, versions] = await Promise.all([
    sampleRuns(reader, { name, from: new Date(firstMs), to: now }),
    listVersionChanges(reader, { name, from: new Date(firstMs) }),
  ])
  if (!job || !queue)
    throw new Error(
      `The job ${name} is missing in what was read: its name must be in the list of jobs`,
    )
  const upcoming =
    job.schedule && !job.paused
      ? describeUpcoming(job.schedule, now)
      : { upcoming: [], isCut: false }
  return {
    job,
    queue,
    days,
    hours,
    cutBefore,
    sample,
    versions,
    counted,
    duration,
    ...upcoming,
    actions,
    scheduleChange: changed && {
      at: changed.at,
      by: changed.actor,
      ...changeInWords(changed.reason ?? ''),
    },
    schedules,
  }
}

/** The ticks of the next 30 days in the schedule's own time zone, marking those that a clock change touches. */
export function describeUpcoming(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  from: Date,
): Pick<ConsoleJobDetail, 'upcoming' | 'isCut'> {
  const localTime = createLocalTime(schedule.timeZone)
  const end = from.getTime() + HORIZON_MS
  const upcoming: ConsoleJobDetail['upcoming'] = []
  for (const tick of nextTicks(schedule, from)) {
    if (tick.getTime() > end) break
    if (upcoming.length === MAX_TICKS) return { upcoming, isCut: true }
    upcoming.push({ at: tick.toISOString(), ...localTime.describe(tick) })
  }
  return { upcoming, isCut: false }
}
