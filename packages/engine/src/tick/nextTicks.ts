import { Cron } from 'croner'
import type { Schedule } from '../job/defineJob.ts'

/** The first instant after `after` at which the schedule is due, or null when it never is again. */
export function nextTick(schedule: Pick<Schedule, 'cron' | 'timeZone'>, after: Date): Date | null {
  return calendar(schedule).nextRun(after)
}

/** Every instant after `after` at which the schedule is due, without an end unless the schedule has one. */
export function* nextTicks(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  after: Date,
): Generator<Date> {
  const cron = calendar(schedule)
  for (let tick = cron.nextRun(after); tick !== null; tick = cron.nextRun(tick)) yield tick
}

/** The latest instants up to and including `through` at which the schedule was due, oldest first. */
export function previousTicks(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  through: Date,
  count: number,
): Date[] {
  // The calendar's are before the instant that it is given.
  return calendar(schedule)
    .previousRuns(count, new Date(through.getTime() + 1))
    .toReversed()
}

/**
 * Whether the schedule is a time of day, such as `30 2 * * *`: it is due once on each of its days, whatever the
 * clocks do. Else it is an interval, which is due whenever the wall clock shows it. See docs/timeZones.md.
 */
export function isTimeOfDay(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  if (fields.length === 1) return fields[0]?.toLowerCase() !== '@hourly'
  return !/[*?/]/.test(fields.slice(0, fields.length - 3).join(' '))
}

// croner, because node-cron's own calendar skips the hour that a zone jumps over in spring and loses ticks
// in the hour that it repeats in autumn. Its default rule would take only a single time of day for one that has
// to happen on every day: `30 2,14 * * *` would have no 02:30 run on the spring day and two of them in autumn.
function calendar({ cron, timeZone }: Pick<Schedule, 'cron' | 'timeZone'>): Cron {
  return new Cron(cron, { timezone: timeZone, paused: true, fixedTimeRule: 'no-wildcard' })
}

/**
 * Remembers the last answer for each cron and time zone. Jobs that are due together often share theirs, and to find a
 * next time takes longer than all else that a scheduler does for a tick.
 */
export function createNextTick(): typeof nextTick {
  const answers = new Map<string, { after: number; next: Date | null }>()
  return (schedule, after) => {
    const key = `${schedule.timeZone} ${schedule.cron}`
    const known = answers.get(key)
    if (known?.after === after.getTime()) return known.next
    const next = nextTick(schedule, after)
    answers.set(key, { after: after.getTime(), next })
    return next
  }
}
