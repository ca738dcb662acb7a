import { Cron } from 'croner'
import { checkTickQuestion } from '../arguments/jobs.ts'
import type { Schedule } from '../job/defineJob.ts'

/** Finds the first instant after `after` at which the schedule is due; null when it is never due again. */
export function nextTick(schedule: Pick<Schedule, 'cron' | 'timeZone'>, after: Date): Date | null {
  const asked = checkTickQuestion(schedule, after)
  return tickAfter(asked, asked.after)
}

/** The same of a schedule that was checked before. It throws where a row has one that this version cannot read. */
export function tickAfter(schedule: Pick<Schedule, 'cron' | 'timeZone'>, after: Date): Date | null {
  return calendar(schedule).nextRun(after)
}

/** Yields every instant after `after` at which the schedule is due, without an end unless the schedule has one. */
export function* nextTicks(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  after: Date,
): Generator<Date> {
  const cron = calendar(schedule)
  for (let tick = cron.nextRun(after); tick !== null; tick = cron.nextRun(tick)) yield tick
}

/** Finds the latest instants up to and including `through` at which the schedule was due, oldest first. */
export function previousTicks(
  schedule: Pick<Schedule, 'cron' | 'timeZone'>,
  through: Date,
  count: number,
): Date[] {
  // croner returns instants before the one that it is given, so give it the next millisecond.
  return calendar(schedule)
    .previousRuns(count, new Date(through.getTime() + 1))
    .toReversed()
}

/**
 * Whether the schedule is a time of day, such as `30 2 * * *`, which is due once on each of its days whatever the clocks do.
 * Any other is an interval, due whenever the wall clock shows it. See docs/timeZones.md.
 */
export function isTimeOfDay(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  if (fields.length === 1) return fields[0]?.toLowerCase() !== '@hourly'
  return !/[*?/]/.test(fields.slice(0, fields.length - 3).join(' '))
}

// croner, because node-cron's own calendar skips the hour that a zone jumps over in spring and loses ticks in the hour
// that it repeats in autumn. croner's default rule makes up for a single time of day only: `30 2,14 * * *` would have no
// 02:30 run on the spring day and two of them in autumn.
function calendar({ cron, timeZone }: Pick<Schedule, 'cron' | 'timeZone'>): Cron {
  // croner would take the zone of this process.
  if (timeZone === '') throw new RangeError('A time zone without a name is none')
  return new Cron(cron, { timezone: timeZone, paused: true, fixedTimeRule: 'no-wildcard' })
}

/**
 * Makes a tickAfter() that remembers its last answer for each cron and time zone. Jobs that are due together often share
 * both, and finding a next time takes longer than all else that a scheduler does for a tick.
 */
export function createNextTick(): typeof tickAfter {
  const answers = new Map<string, { after: number; next: Date | null }>()
  return (schedule, after) => {
    const key = `${schedule.timeZone} ${schedule.cron}`
    const known = answers.get(key)
    if (known?.after === after.getTime()) return known.next
    const next = tickAfter(schedule, after)
    answers.set(key, { after: after.getTime(), next })
    return next
  }
}
