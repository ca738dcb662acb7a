import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { createLocalTime } from './localTime.ts'
import { isTimeOfDay, nextTicks } from './nextTicks.ts'
import type { Schedule } from '../job/defineJob.ts'

const DAY_S = 86_400
/** No zone has ever changed its offset and back within this time. */
const LOOK_EVERY_S = 6 * 3_600

/** Seconds from `from` up to but not including `to`, in which a zone's clocks keep one offset. */
interface Stretch {
  from: number
  to: number
  /** What a wall clock shows, less UTC, in seconds. */
  offset: number
  /** The offset of the stretch before; of the first stretch its own. */
  offsetBefore: number
}

/**
 * Counts the ticks after `after`, up to and including `through`, that `nextTicks` would list, without listing them: a month
 * by the second has 2.6 million.
 *
 * Between changes of the zone's clocks a schedule is due at its times on each of its days. docs/timeZones.md says what a
 * change does: an interval is due whenever the wall clock shows it; a time of day that the clocks skip is due at the end of
 * the gap, and one that comes twice is due the first time.
 */
export async function countTicks(
  { cron, timeZone }: Pick<Schedule, 'cron' | 'timeZone'>,
  after: Date,
  through: Date,
): Promise<number> {
  const fields = readFields(cron)
  const from = Math.floor(after.getTime() / 1_000) + 1
  const to = Math.floor(through.getTime() / 1_000) + 1
  let count = 0
  for (const stretch of await findStretches(timeZone, from, to)) {
    if (isTimeOfDay(cron)) {
      count += await countShown(fields, stretch, Math.max(from, endOfRepeated(stretch)))
      if (stretch.from >= from) count += await countSkipped(fields, stretch)
    } else {
      count += await countShown(fields, stretch, from)
    }
  }
  return count
}

/** Counts the times that the wall clock shows in the stretch from this second on. */
async function countShown(fields: Fields, stretch: Stretch, from: number): Promise<number> {
  const { offset } = stretch
  return await countLocal(fields, Math.max(stretch.from, from) + offset, stretch.to + offset)
}

/** Up to when the clocks, put back at the start of the stretch, show what they have shown before. */
function endOfRepeated({ from, offset, offsetBefore }: Stretch): number {
  return from + Math.max(0, offsetBefore - offset)
}

/**
 * 1 if a time of day falls into what the clocks, put forward at the start of the stretch, have skipped, else 0: it is due at
 * the end of the gap.
 */
async function countSkipped(
  fields: Fields,
  { from, offset, offsetBefore }: Stretch,
): Promise<0 | 1> {
  const gapS = offset - offsetBefore
  // In a gap of a whole day nothing is due: the zone never had that day.
  if (gapS <= 0 || gapS >= DAY_S) return 0
  const gapTo = from + offset
  const isSkipped = (await countLocal(fields, gapTo - gapS, gapTo)) > 0
  // Then countShown counts that second.
  const isDueByItself = (await countLocal(fields, gapTo, gapTo + 1)) > 0
  return isSkipped && !isDueByItself ? 1 : 0
}

/** Divides the time from one second up to but not including another where the zone's clocks change. */
async function findStretches(timeZone: string, from: number, to: number): Promise<Stretch[]> {
  const clocks = createLocalTime(timeZone)
  const offsetAt = (second: number) => clocks.offsetMs(new Date(second * 1_000)) / 1_000
  // A change just before the range decides what the range repeats.
  const begin = from - LOOK_EVERY_S
  const stretches: Stretch[] = []
  const firstOffset = offsetAt(begin)
  let stretch = { from: begin, offset: firstOffset, offsetBefore: firstOffset }
  let looks = 0
  let seenUpTo = begin
  while (seenUpTo < to) {
    const next = Math.min(seenUpTo + LOOK_EVERY_S, to)
    const { offset } = stretch
    const nextOffset = offsetAt(next)
    if (nextOffset !== offset) {
      const change = findFirstNot(seenUpTo, next, (second) => offsetAt(second) === offset)
      stretches.push({ ...stretch, to: change })
      stretch = { from: change, offset: nextOffset, offsetBefore: offset }
    }
    seenUpTo = next
    if (++looks % 500 === 0) await yieldToEventLoop()
  }
  stretches.push({ ...stretch, to })
  return stretches.filter((found) => found.to > from)
}

/** Finds by halves the first second after `isSo`, up to `isNot`, at which `ask` is false. */
function findFirstNot(isSo: number, isNot: number, ask: (second: number) => boolean): number {
  let [low, high] = [isSo, isNot]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (ask(middle)) low = middle
    else high = middle
  }
  return high
}

/** A cron expression in parts: `0 30 9-11 * * 1` has seconds [0], minutes [30], hours [9, 10, 11] and days `0 0 0 * * 1`. */
interface Fields {
  seconds: number[]
  minutes: number[]
  hours: number[]
  /** A cron expression for midnight on each of its days. */
  days: string
}

const NICKNAMES: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** Reads an expression of five fields or six, or a nickname, by asking the calendar for one of them at a time, in a zone whose clocks never change. */
function readFields(cron: string): Fields {
  const expression = NICKNAMES[cron.trim().toLowerCase()] ?? cron
  const parts = expression.trim().split(/\s+/)
  const [second, minute, hour, ...days] = parts.length === 5 ? ['0', ...parts] : parts
  return {
    seconds: valuesOf(`${second} * * * * *`, 60, 1),
    minutes: valuesOf(`0 ${minute} * * * *`, 60, 60),
    hours: valuesOf(`0 0 ${hour} * * *`, 24, 3_600),
    days: `0 0 0 ${days.join(' ')}`,
  }
}

const SOME_MIDNIGHT = Date.UTC(2026, 0, 1)

/** At which of the first `size` units after a midnight the expression is due. */
function valuesOf(cron: string, size: number, unitS: number): number[] {
  const values: number[] = []
  for (const tick of nextTicks({ cron, timeZone: 'UTC' }, new Date(SOME_MIDNIGHT - 1))) {
    const value = (tick.getTime() - SOME_MIDNIGHT) / 1_000 / unitS
    if (value >= size) return values
    values.push(value)
  }
  return values
}

/** Counts the expression's times from one second up to but not including another, by a clock that never changes. */
async function countLocal(fields: Fields, from: number, to: number): Promise<number> {
  if (to <= from) return 0
  const firstDay = Math.floor(from / DAY_S) * DAY_S
  let count = 0
  let days = 0
  const midnights = nextTicks(
    { cron: fields.days, timeZone: 'UTC' },
    new Date(firstDay * 1_000 - 1),
  )
  for (const midnight of midnights) {
    const day = midnight.getTime() / 1_000
    if (day >= to) break
    const untilTo = countOfDay(fields, Math.min(to - day, DAY_S))
    const untilFrom = countOfDay(fields, Math.max(from - day, 0))
    count += untilTo - untilFrom
    if (++days % 500 === 0) await yieldToEventLoop()
  }
  return count
}

/** Counts the times of a day before this second of it. */
function countOfDay({ seconds, minutes, hours }: Fields, second: number): number {
  const hour = Math.floor(second / 3_600)
  const minute = Math.floor((second % 3_600) / 60)
  const countBelow = (values: number[], limit: number) =>
    values.filter((value) => value < limit).length
  const inHoursBefore = countBelow(hours, hour) * minutes.length * seconds.length
  if (!hours.includes(hour)) return inHoursBefore
  const inMinutesBefore = countBelow(minutes, minute) * seconds.length
  const inThisMinute = minutes.includes(minute) ? countBelow(seconds, second % 60) : 0
  return inHoursBefore + inMinutesBefore + inThisMinute
}
