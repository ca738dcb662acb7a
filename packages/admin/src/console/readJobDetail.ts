import {
  countKeyedSchedules,
  createLocalTime,
  nextTicks,
  findLastActionOfJob,
  listJobActions,
  listRunCounts,
  listVersionChanges,
  measureDuration,
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
const SHOWN_TICKS = 5
/** Maximum of ticks that are searched for changes of the clocks. */
const MAX_TICKS = 1_000
const MAX_ACTIONS = 20
const SHOWN_DAYS = 60
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
    now.getTime() - SHOWN_DAYS * DAY_MS,
  )
  const versions = await listVersionChanges(reader, { name, from: new Date(firstMs) })
  if (!job || !queue)
    throw new Error(
      `The job ${name} is missing in what was read: its name must be in the list of jobs`,
    )
  return {
    job,
    queue,
    days,
    hours,
    cutBefore,
    versions,
    counted,
    duration,
    upcoming: job.schedule && !job.paused ? describeUpcoming(job.schedule, now) : [],
    actions,
    scheduleChange: changed && {
      at: changed.at,
      by: changed.actor,
      ...changeInWords(changed.reason ?? ''),
    },
    schedules,
  }
}

/**
 * The next runs, in local time of the schedule's zone, and later ones of the next 30 days that a clock change affects:
 * directly, or as the first after one.
 */
export function describeUpcoming(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  from: Date,
): ConsoleJobDetail['upcoming'] {
  const localTime = createLocalTime(schedule.timeZone)
  const end = from.getTime() + HORIZON_MS
  const upcoming: ConsoleJobDetail['upcoming'] = []
  let offset: string | undefined
  let looked = 0
  for (const at of nextTicks(schedule, from)) {
    if (at.getTime() > end && looked >= SHOWN_TICKS) break
    if (looked === MAX_TICKS || upcoming.length === 2 * SHOWN_TICKS) break
    const tick = { at: at.toISOString(), ...localTime.describe(at) }
    const isTouched = tick.mark !== null || (offset !== undefined && tick.offset !== offset)
    if (looked < SHOWN_TICKS || isTouched) upcoming.push(tick)
    offset = tick.offset
    looked += 1
  }
  return upcoming
}
