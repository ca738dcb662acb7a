import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { createLocalTime, isTimeOfDay, nextTicks, type Schedule } from '../index.ts'

const DAY_S = 86_400
/** No zone has ever changed its offset and back within this time. */
const LOOK_EVERY_S = 6 * 3_600

/** Seconds from `from` up to but not including `to`, at one offset. */
interface Stretch {
  from: number
  to: number
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
  const isOnceADay = isTimeOfDay(cron)
  let count = 0
  for (const stretch of await findStretches(timeZone, from, to)) {
    const { offset, offsetBefore } = stretch
    // How many seconds the clocks show a second time.
    const repeated = isOnceADay ? Math.max(0, offsetBefore - offset) : 0
    const start = Math.max(stretch.from, from) + offset
    const end = stretch.to + offset
    count += await countLocal(fields, Math.max(start, stretch.from + offset + repeated), end)
    // A gap of a whole day has no ticks: the zone never had that day.
    const gap = isOnceADay && stretch.from >= from ? offset - offsetBefore : 0
    if (gap <= 0 || gap >= DAY_S) continue
    const [gapFrom, gapTo] = [stretch.from + offsetBefore, stretch.from + offset]
    const isInGap = (await countLocal(fields, gapFrom, gapTo)) > 0
    // Do not count the end of the gap twice: it may be due by itself.
    if (isInGap && (await countLocal(fields, gapTo, gapTo + 1)) === 0) count++
  }
  return count
}

/** Finds the stretches in the range. */
async function findStretches(timeZone: string, from: number, to: number): Promise<Stretch[]> {
  const clocks = createLocalTime(timeZone)
  const offsetAt = (second: number) => clocks.offsetMs(new Date(second * 1_000)) / 1_000
  // A change just before the range decides what the range repeats.
  const begin = from - LOOK_EVERY_S
  const stretches: Stretch[] = []
  let current = begin
  let offset = offsetAt(begin)
  let offsetBefore = offset
  let looks = 0
  for (let seen = begin; seen < to;) {
    const next = Math.min(seen + LOOK_EVERY_S, to)
    const offsetThen = offsetAt(next)
    if (offsetThen !== offset) {
      const change = bisect(seen, next, (second) => offsetAt(second) === offset)
      stretches.push({ from: current, to: change, offset, offsetBefore })
      ;[current, offsetBefore, offset] = [change, offset, offsetThen]
    }
    seen = next
    if (++looks % 500 === 0) await yieldToEventLoop()
  }
  stretches.push({ from: current, to, offset, offsetBefore })
  return stretches.filter((stretch) => stretch.to > from)
}

/** Finds the first second after `isSo`, up to `isNot`, at which `ask` is false. */
function bisect(isSo: number, isNot: number, ask: (second: number) => boolean): number {
  let [low, high] = [isSo, isNot]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (ask(middle)) low = middle
    else high = middle
  }
  return high
}

interface Fields {
  /** A flag for each second, minute and hour. */
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

/** Reads the fields by asking the calendar for one of them at a time, in a zone whose clocks never change. */
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

function valuesOf(cron: string, size: number, unitS: number): number[] {
  const values: number[] = []
  for (const tick of nextTicks({ cron, timeZone: 'UTC' }, new Date(SOME_MIDNIGHT - 1))) {
    const value = (tick.getTime() - SOME_MIDNIGHT) / 1_000 / unitS
    if (value >= size) return values
    values.push(value)
  }
  return values
}

/** Counts the schedule's local times from one second up to but not including another. */
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
    count += countBefore(fields, Math.min(to - day, DAY_S))
    count -= countBefore(fields, Math.max(from - day, 0))
    if (++days % 500 === 0) await yieldToEventLoop()
  }
  return count
}

/** Counts the schedule's times before this second of a day. */
function countBefore({ seconds, minutes, hours }: Fields, second: number): number {
  const hour = Math.floor(second / 3_600)
  const minute = Math.floor((second % 3_600) / 60)
  const below = (values: number[], limit: number) => values.filter((value) => value < limit).length
  let count = below(hours, hour) * minutes.length * seconds.length
  if (!hours.includes(hour)) return count
  count += below(minutes, minute) * seconds.length
  return minutes.includes(minute) ? count + below(seconds, second % 60) : count
}
