import { Cron } from 'croner'
import { checkTickQuestion } from '../arguments/jobs.ts'
import type { Schedule } from '../job/defineJob.ts'

/** Finds the first instant after `after` at which the schedule is due. Null if it is never due again. */
export function nextTick(schedule: Pick<Schedule, 'cron' | 'timeZone'>, after: Date): Date | null {
  const asked = checkTickQuestion(schedule, after)
  return tickAfter(asked, asked.after)
}

/** The same for a schedule that was checked before. Throws if this version cannot read it. */
export function tickAfter(schedule: Pick<Schedule, 'cron' | 'timeZone'>, after: Date): Date | null {
  return calendar(schedule).nextRun(after)
}

/** Yields every instant after `after` at which the schedule is due. Endless unless the schedule ends. */
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
  // croner returns instants before its argument, so pass the next millisecond.
  return calendar(schedule)
    .previousRuns(count, new Date(through.getTime() + 1))
    .toReversed()
}

/**
 * Whether the schedule is a time of day, such as `30 2 * * *`, which is due once on each of its days even if the clocks change.
 * Any other is an interval, due each time the wall clock shows it. See docs/timeZones.md.
 */
export function isTimeOfDay(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  if (fields.length === 1) return fields[0]?.toLowerCase() !== '@hourly'
  return !/[*?/]/.test(fields.slice(0, fields.length - 3).join(' '))
}

// croner, because node-cron's own calendar skips the hour that a zone skips in spring and loses ticks in the hour that it
// repeats in autumn. croner's default rule handles only a single time of day: `30 2,14 * * *` would have no 02:30 run on the
// spring day and two of them in autumn.
function calendar({ cron, timeZone }: Pick<Schedule, 'cron' | 'timeZone'>): Cron {
  // Without a name, croner would use the zone of this process.
  if (timeZone === '') throw new RangeError('A time zone without a name is none')
  return new Cron(cron, { timezone: timeZone, paused: true, fixedTimeRule: 'no-wildcard' })
}

/**
 * Creates a tickAfter() that caches its last answer for each cron and time zone. Jobs that are due together often share both,
 * and finding the next time takes most of a scheduler's time for a tick.
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
