import { createLocalTime, isTimeOfDay, nextTicks } from '@roundsman/engine/internal'
import { nextTick, type ScheduledJob } from '@roundsman/engine'
import type { Finding } from './finding.ts'

const DAY_MS = 86_400_000
const YEARS = 5
const HORIZON_MS = YEARS * 365.25 * DAY_MS
/** Maximum of times to count within one change. */
const MAX_NAMED = 5_000
const MAX_TOLD = 4

/** A change of a zone's clocks, and the local times that it skips or repeats. */
interface ClockChange {
  at: Date
  kind: 'gap' | 'fold'
  /** In milliseconds of a calendar without time zones. */
  wallFrom: number
  wallTo: number
}

/**
 * Reports schedules with a local time that a clock change of the next five years skips or repeats. The result is defined, but
 * may be surprising. A schedule that is due evenly through the change is not reported.
 */
export function checkClockChanges(jobs: readonly ScheduledJob[], now: Date): Finding[] {
  const changes = new Map<string, ClockChange[]>()
  return jobs.flatMap((job) => {
    const { timeZone } = job.schedule
    const ofZone = changes.get(timeZone) ?? findClockChanges(timeZone, now)
    changes.set(timeZone, ofZone)
    return (['gap', 'fold'] as const).flatMap((kind) => {
      const touched = ofZone.filter((change) => change.kind === kind && isTouched(job, change))
      const [first] = touched
      return first ? [describe(job, first, touched.length)] : []
    })
  })
}

function findClockChanges(timeZone: string, now: Date): ClockChange[] {
  const { offsetMs } = createLocalTime(timeZone)
  const offsetAt = (at: number) => offsetMs(new Date(at))
  const changes: ClockChange[] = []
  const end = now.getTime() + HORIZON_MS
  for (let day = now.getTime(); day < end; day += DAY_MS) {
    const [before, after] = [offsetAt(day), offsetAt(day + DAY_MS)]
    if (before === after) continue
    let [low, high] = [day, day + DAY_MS]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (offsetAt(middle) === before) low = middle
      else high = middle
    }
    const kind = after > before ? 'gap' : 'fold'
    const [wallFrom, wallTo] = [high + Math.min(before, after), high + Math.max(before, after)]
    changes.push({ at: new Date(high), kind, wallFrom, wallTo })
  }
  return changes
}

function isTouched({ schedule: { cron } }: ScheduledJob, change: ClockChange): boolean {
  const { wallFrom, wallTo } = change
  const named = namedTimes(cron, wallFrom, wallTo).length
  if (named === 0) return false
  if (isTimeOfDay(cron)) return true
  // A schedule that is due as often before and after the change as during it is even.
  const lengthMs = wallTo - wallFrom
  const before = namedTimes(cron, wallFrom - lengthMs, wallFrom).length
  const after = namedTimes(cron, wallTo, wallTo + lengthMs).length
  return named !== before || named !== after
}

/** The times of an expression, without any zone's clock changes. */
function namedTimes(cron: string, wallFrom: number, wallTo: number): number[] {
  const times: number[] = []
  const from = new Date(wallFrom - 1)
  for (const tick of nextTicks({ cron, timeZone: 'UTC' }, from).take(MAX_NAMED)) {
    if (tick.getTime() >= wallTo) break
    times.push(tick.getTime())
  }
  return times
}

function describe({ name, schedule }: ScheduledJob, change: ClockChange, count: number): Finding {
  const { cron, timeZone } = schedule
  const { at, kind, wallFrom, wallTo } = change
  const times = namedTimes(cron, wallFrom, wallTo).map((wall) => clock(wall))
  const told =
    times.length > MAX_TOLD
      ? `${times.length} times from ${times[0]} to ${times.at(-1)}`
      : times.join(', ')
  const comes = times.length === 1 ? 'comes' : 'come'
  const often = `${count === 1 ? 'once' : `${count} times`} in the next ${YEARS} years, first on ${new Date(wallFrom).toISOString().slice(0, 10)}`
  const when = `${often}, ${told} in ${timeZone}`
  const outside = `take a time outside of ${clock(wallFrom)} to ${clock(wallTo)}, or another zone, such as UTC`
  const common = { severity: 'warning', job: name } as const
  if (kind === 'gap') {
    const does = times.length === 1 ? 'does' : 'do'
    if (isTimeOfDay(cron)) {
      return {
        ...common,
        code: 'tick_in_gap',
        problem: `${when} ${does} not exist; a time of day is due on each of its days, so it runs once, at the end of the gap, ${clock(wallTo)}`,
        remedy: `nothing, if that is right; else ${outside}`,
      }
    }
    const next = nextTick(schedule, new Date(at.getTime() - 1))
    const { offsetMs } = createLocalTime(timeZone)
    const nextAt = next
      ? new Date(next.getTime() + offsetMs(next)).toISOString().slice(0, 16).replace('T', ' ')
      : 'never'
    return {
      ...common,
      code: 'tick_in_gap',
      problem: `${when} ${does} not exist; an interval is due when the clock shows it, so there is no tick then, and the next is at ${nextAt}`,
      remedy: `if it has to run on that day too, write minutes and hours as lists, without * and steps, which makes it a time of day; or ${outside}`,
    }
  }
  return isTimeOfDay(cron)
    ? {
        ...common,
        code: 'tick_in_fold',
        problem: `${when} ${comes} twice; a time of day is due once on each of its days, so it runs the first time and not the second`,
        remedy: `nothing, if that is right; else ${outside}`,
      }
    : {
        ...common,
        code: 'tick_in_fold',
        problem: `${when} ${comes} twice; an interval is due whenever the clock shows it, so it runs both times`,
        remedy: `if once is enough, write minutes and hours as lists, without * and steps, which makes it a time of day; or ${outside}`,
      }
}

/** Formats `02:30`, with seconds if they are not zero. */
function clock(wall: number): string {
  const time = new Date(wall).toISOString().slice(11, 19)
  return time.endsWith(':00') ? time.slice(0, 5) : time
}
