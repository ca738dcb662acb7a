// Not quick: goes through ten years of ticks.
import { CronExpressionParser } from 'cron-parser'
import { describe, expect, it } from 'vitest'
import { nextTicks } from '../../src/internal.ts'

const FROM = Date.parse('2024-01-01T00:00:00Z')
const TO = Date.parse('2034-01-01T00:00:00Z')
const SECOND_MS = 1_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  // Moves by half an hour.
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'America/St_Johns',
  // No longer changes its clocks, and has the second-largest offset.
  'Pacific/Apia',
  // Changes its clocks at Ramadan, backwards in spring.
  'Africa/Casablanca',
  // Changes its clocks at midnight.
  'America/Havana',
]

interface Transition {
  at: number
  /** By how many minutes the clocks go forward; negative when they go back. */
  shift: number
  /** The offset just before, in minutes. */
  offsetBefore: number
}

/** Where a zone's offset changes, read from the runtime's own data and from no library. */
function findTransitions(timeZone: string): Transition[] {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  const offsetAt = (instant: number) => {
    const parts = Object.fromEntries(
      format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]),
    ) as Record<string, number>
    const { year, month, day, hour, minute } = parts
    return (Date.UTC(year!, month! - 1, day, hour, minute) - instant) / MINUTE_MS
  }
  const transitions: Transition[] = []
  let offset = offsetAt(FROM)
  for (let day = FROM; day < TO; day += DAY_MS) {
    const after = offsetAt(day + DAY_MS)
    if (after === offset) continue
    let before = day
    let at = day + DAY_MS
    while (at - before > MINUTE_MS) {
      const middle = before + Math.floor((at - before) / 2 / MINUTE_MS) * MINUTE_MS
      if (offsetAt(middle) === offset) before = middle
      else at = middle
    }
    transitions.push({ at, shift: after - offset, offsetBefore: offset })
    offset = after
  }
  return transitions
}

const transitionsOf = new Map(ZONES.map((zone) => [zone, findTransitions(zone)]))

function* windows(timeZone: string, marginMs: number): Generator<[from: number, to: number]> {
  const transitions = transitionsOf.get(timeZone)!
  for (const { at } of transitions) yield [at - marginMs, at + marginMs]
  // A zone that never changes its clocks is tried with an ordinary week.
  if (transitions.length === 0) yield [FROM, FROM + 2 * marginMs]
}

function ours(cron: string, timeZone: string, from: number, to: number): number[] {
  const ticks: number[] = []
  for (const tick of nextTicks({ cron, timeZone }, new Date(from))) {
    if (tick.getTime() >= to) break
    ticks.push(tick.getTime())
  }
  return ticks
}

function judged(cron: string, timeZone: string, from: number, to: number): number[] {
  const judge = CronExpressionParser.parse(cron, { tz: timeZone, currentDate: new Date(from) })
  const ticks: number[] = []
  for (;;) {
    const tick = judge.next().getTime()
    if (tick >= to) return ticks
    ticks.push(tick)
  }
}

interface Difference {
  onlyOurs: string[]
  onlyJudge: string[]
}

/** Sorted, and each once. */
const inOrder = (instants: Iterable<number>) => [...new Set(instants)].toSorted((a, b) => a - b)
const iso = (instants: Iterable<number>) =>
  inOrder(instants).map((instant) => new Date(instant).toISOString())

function compare(
  cron: string,
  timeZone: string,
  spans: Iterable<[from: number, to: number]>,
): Difference {
  const mine = new Set<number>()
  const theirs = new Set<number>()
  for (const [from, to] of spans) {
    const ticks = ours(cron, timeZone, from, to)
    expect(ticks, 'each tick is later than the one before').toEqual(inOrder(ticks))
    for (const tick of ticks) mine.add(tick)
    for (const tick of judged(cron, timeZone, from, to)) theirs.add(tick)
  }
  return { onlyOurs: iso(mine.difference(theirs)), onlyJudge: iso(theirs.difference(mine)) }
}

/** Instants relative to a transition, in minutes. */
interface Pinned {
  why: string
  onlyOurs: number[]
  onlyJudge: number[]
}

interface Rules {
  /** At transitions that skip these wall clock times. */
  gap?: Pinned
  /** At transitions that repeat these wall clock times. */
  repeated?: Pinned
}

/** The wall clock at a transition: when the gap or the repetition begins, as `hh:mm`. */
function wallClockAt({ at, shift, offsetBefore }: Transition): string {
  return new Date(at + (offsetBefore + Math.min(shift, 0)) * MINUTE_MS).toISOString().slice(11, 16)
}

function expected(
  timeZone: string,
  rules: Record<string, Rules>,
  isDueOn: (wallClock: Date) => boolean,
): Difference {
  const onlyOurs: number[] = []
  const onlyJudge: number[] = []
  for (const transition of transitionsOf.get(timeZone)!) {
    const { at, shift, offsetBefore } = transition
    // The date on the wall clock when the gap or the repetition begins.
    if (!isDueOn(new Date(at + (offsetBefore + Math.min(shift, 0)) * MINUTE_MS))) continue
    const rule = rules[`${Math.abs(shift)} min at ${wallClockAt(transition)}`]
    const pinned = shift > 0 ? rule?.gap : rule?.repeated
    onlyOurs.push(...(pinned?.onlyOurs ?? []).map((minutes) => at + minutes * MINUTE_MS))
    onlyJudge.push(...(pinned?.onlyJudge ?? []).map((minutes) => at + minutes * MINUTE_MS))
  }
  return { onlyOurs: iso(onlyOurs), onlyJudge: iso(onlyJudge) }
}

const AT_THE_END_OF_THE_GAP =
  'a time of day that is skipped: ours is the first instant after the gap, the judge goes on as if the clocks had not changed'
const NOT_IN_THE_GAP =
  'an interval in wall clock hours: an hour that does not exist has no tick, the judge makes one up'
const BOTH_HOURS =
  'an interval in wall clock hours: an hour that comes twice has two ticks, the judge leaves one out'
const FIRST_MIDNIGHT = 'a time of day that comes twice: ours is the first, the judge the second'
const LOST_QUARTERS = 'the judge loses the quarters of an hour around a change by half an hour'

/** Of a time that is skipped half an hour before the gap ends. */
const AT_HALF_PAST_TWO: Record<string, Rules> = {
  '60 min at 02:00': { gap: { why: AT_THE_END_OF_THE_GAP, onlyOurs: [0], onlyJudge: [30] } },
}

const differences: Record<string, Record<string, Rules>> = {
  '30 2 * * *': AT_HALF_PAST_TWO,
  '30 2 31 * *': AT_HALF_PAST_TWO,
  '30 2,14 * * *': AT_HALF_PAST_TWO,
  '15 30 2 * * *': {
    '60 min at 02:00': {
      gap: { why: AT_THE_END_OF_THE_GAP, onlyOurs: [0], onlyJudge: [30.25] },
    },
  },
  '0 0 * * *': {
    '60 min at 00:00': { repeated: { why: FIRST_MIDNIGHT, onlyOurs: [-60], onlyJudge: [0] } },
  },
  '0 */2 * * *': {
    '60 min at 02:00': {
      gap: { why: NOT_IN_THE_GAP, onlyOurs: [], onlyJudge: [0] },
      repeated: { why: BOTH_HOURS, onlyOurs: [0], onlyJudge: [] },
    },
    '60 min at 00:00': {
      gap: { why: NOT_IN_THE_GAP, onlyOurs: [], onlyJudge: [0] },
      repeated: { why: BOTH_HOURS, onlyOurs: [-60], onlyJudge: [] },
    },
  },
  '*/15 * * * *': {
    '30 min at 02:00': { gap: { why: LOST_QUARTERS, onlyOurs: [0, 15], onlyJudge: [] } },
    '30 min at 01:30': { repeated: { why: LOST_QUARTERS, onlyOurs: [0, 15], onlyJudge: [] } },
  },
}

/** The judge finds no tick in Lord Howe where one full hour is not followed by another. */
const JUDGE_GIVES_UP = new Set([
  'Australia/Lord_Howe 0 * * * *',
  'Australia/Lord_Howe 0 */2 * * *',
  'Australia/Lord_Howe 0 4 * * 0',
])

const zonesJudgedOn = (cron: string) =>
  ZONES.filter((zone) => !JUDGE_GIVES_UP.has(`${zone} ${cron}`))
const everyDay = () => true

/**
 * A day without a clock change depends on its date alone. So one zone is compared over ten years, and the others around each
 * change: what is due each day for two days on either side, and what is not over a leap year too, with a Sunday on either side.
 */
function* tellingSpans(cron: string, timeZone: string): Generator<[from: number, to: number]> {
  if (timeZone === 'Europe/Berlin') {
    yield [FROM, TO]
    return
  }
  const isDaily = cron.endsWith('* * *')
  if (!isDaily) yield [FROM, Date.parse('2025-01-02T00:00:00Z')]
  yield* windows(timeZone, (isDaily ? 2 : 8) * DAY_MS)
}

describe('ten years against a second library', () => {
  const sparse: [cron: string, isDueOn: (wallClock: Date) => boolean][] = [
    ['30 2 * * *', everyDay],
    ['0 0 * * *', everyDay],
    ['0 4 * * 0', everyDay],
    ['30 2 31 * *', (day) => day.getUTCDate() === 31],
    ['0 12 29 2 *', everyDay],
    ['0 5 13 * 5', everyDay],
  ]
  for (const [cron, isDueOn] of sparse) {
    it.each(zonesJudgedOn(cron))(`${cron} in %s`, (timeZone) => {
      expect(compare(cron, timeZone, tellingSpans(cron, timeZone))).toEqual(
        expected(timeZone, differences[cron] ?? {}, isDueOn),
      )
    })
  }
})

describe('around every transition of ten years against a second library', () => {
  const dense: [cron: string, marginMs: number][] = [
    ['*/15 * * * *', 3 * HOUR_MS],
    ['0 * * * *', DAY_MS],
    ['0 */2 * * *', DAY_MS],
    ['30 2,14 * * *', 2 * DAY_MS],
    ['15 30 2 * * *', 2 * DAY_MS],
    ['*/20 * * * * *', 5 * MINUTE_MS],
  ]
  for (const [cron, marginMs] of dense) {
    it.each(zonesJudgedOn(cron))(`${cron} in %s`, (timeZone) => {
      expect(compare(cron, timeZone, windows(timeZone, marginMs))).toEqual(
        expected(timeZone, differences[cron] ?? {}, everyDay),
      )
    })
  }

  it.each([...JUDGE_GIVES_UP])('the second library gives up on %s', (pair) => {
    const [timeZone, ...fields] = pair.split(' ')
    const [{ at }] = transitionsOf.get(timeZone!) as [Transition]
    expect(() => judged(fields.join(' '), timeZone!, at - DAY_MS, at + 8 * DAY_MS)).toThrow(
      'loop limit exceeded',
    )
  })
})

describe('around every transition of ten years against the wall clock', () => {
  const crons = [
    '*/15 * * * *',
    '0 * * * *',
    '0 */2 * * *',
    '*/30 1-2 * * *',
    '30 2 * * *',
    '30 2,14 * * *',
    '0,30 2 * * *',
    '20 1-3 * * *',
    '45 1 * * *',
    '0 0 * * *',
    '30 2 13 * 5',
    '30 2 * * 0',
  ]
  it.each([...ZONES, 'Antarctica/Troll', 'Asia/Beirut'])('%s', (timeZone) => {
    if (!transitionsOf.has(timeZone)) transitionsOf.set(timeZone, findTransitions(timeZone))
    for (const [from, to] of windows(timeZone, DAY_MS / 2)) {
      const minutes = readWallClock(timeZone, from, to)
      for (const cron of crons) {
        const ticks = iso(ours(cron, timeZone, from, to))
        expect(ticks, cron).toEqual(iso(byWallClock(cron, timeZone, minutes, from, to)))
      }
    }
  })
})

interface Minute {
  instant: number
  wallClock: Date
}

/** What the wall clock shows at every minute between two instants. */
function readWallClock(timeZone: string, from: number, to: number): Minute[] {
  const transitions = transitionsOf.get(timeZone)!
  const first = transitions[0]?.offsetBefore ?? offsetOf(timeZone)
  const offsetAt = (instant: number) =>
    transitions.reduce((offset, { at, shift }) => (at <= instant ? offset + shift : offset), first)
  const minutes: Minute[] = []
  for (let instant = from + MINUTE_MS; instant < to; instant += MINUTE_MS) {
    minutes.push({ instant, wallClock: new Date(instant + offsetAt(instant) * MINUTE_MS) })
  }
  return minutes
}

/**
 * The rule itself, minute by minute. An interval (a `*` or a step in minutes or hours) is due whenever the wall clock shows
 * it. A time of day is due once on each of its days: at its first occurrence, or at the end of the gap that skips it.
 */
function byWallClock(
  cron: string,
  timeZone: string,
  minutes: readonly Minute[],
  from: number,
  to: number,
): number[] {
  const fields = cron.split(' ')
  const matches = matcher(fields)
  const isInterval = /[*/]/.test(fields[0]! + fields[1]!)
  const transitions = transitionsOf.get(timeZone)!
  const ticks: number[] = []
  // Only this span's transitions can repeat or skip one of its times.
  const near = transitions.filter(({ at }) => at > from - DAY_MS && at < to + DAY_MS)
  for (const { instant, wallClock } of minutes) {
    if (!matches(wallClock)) continue
    const isRepeated = near.some(
      ({ at, shift }) => shift < 0 && instant >= at && instant < at - shift * MINUTE_MS,
    )
    if (isInterval || !isRepeated) ticks.push(instant)
  }
  for (const { at, shift, offsetBefore } of near) {
    if (isInterval || at <= from || at >= to) continue
    const skipped = Array.from({ length: Math.max(shift, 0) }, (_, minute) =>
      matches(new Date(at + (offsetBefore + minute) * MINUTE_MS)),
    )
    if (skipped.includes(true)) ticks.push(at)
  }
  return ticks
}

function offsetOf(timeZone: string): number {
  const name = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' })
    .formatToParts(FROM)
    .find(({ type }) => type === 'timeZoneName')!.value
  const [, sign = '+', hours = 0, minutes = 0] = /GMT(?:([+-])(\d+):(\d+))?/.exec(name) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

function matcher([minute, hour, day, month, weekday]: string[]): (wallClock: Date) => boolean {
  const [minutes, hours, days, months, weekdays] = [
    values(minute!, 0, 59),
    values(hour!, 0, 23),
    values(day!, 1, 31),
    values(month!, 1, 12),
    values(weekday!, 0, 6),
  ]
  return (at) => {
    if (!minutes.has(at.getUTCMinutes()) || !hours.has(at.getUTCHours())) return false
    const isDay = days.has(at.getUTCDate())
    const isWeekday = weekdays.has(at.getUTCDay())
    return (
      months.has(at.getUTCMonth() + 1) &&
      (day === '*' || weekday === '*' ? isDay && isWeekday : isDay || isWeekday)
    )
  }
}

function values(field: string, least: number, most: number): Set<number> {
  const found = new Set<number>()
  for (const part of field.split(',')) {
    const [range, step = '1'] = part.split('/') as [string, string?]
    const [low, high = low] = range === '*' ? [least, most] : range.split('-').map(Number)
    for (let value = low!; value <= high!; value += Number(step)) found.add(value)
  }
  return found
}

describe('expressions', () => {
  const upTo = (count: number, cron: string, timeZone: string, from: string) => {
    const ticks = nextTicks({ cron, timeZone }, new Date(from))
    return ticks
      .take(count)
      .map((tick) => tick.toISOString().slice(0, 16))
      .toArray()
  }

  it('a day of the month and a day of the week mean either', () => {
    expect(upTo(4, '0 5 13 * 5', 'UTC', '2026-02-01')).toEqual([
      '2026-02-06T05:00',
      // A Friday and the 13th: due once.
      '2026-02-13T05:00',
      '2026-02-20T05:00',
      '2026-02-27T05:00',
    ])
    expect(upTo(3, '0 5 13 * 5', 'UTC', '2026-04-11')).toEqual([
      '2026-04-13T05:00',
      '2026-04-17T05:00',
      '2026-04-24T05:00',
    ])
  })

  it('the 31st is due in the months that have one', () => {
    expect(upTo(4, '30 2 31 * *', 'UTC', '2026-01-01')).toEqual([
      '2026-01-31T02:30',
      '2026-03-31T02:30',
      '2026-05-31T02:30',
      '2026-07-31T02:30',
    ])
  })

  it('the leap day is due every four years', () => {
    expect(upTo(2, '0 12 29 2 *', 'Europe/Berlin', '2024-03-01')).toEqual([
      '2028-02-29T11:00',
      '2032-02-29T11:00',
    ])
  })

  it('several times of day are each due once, also when one is skipped or comes twice', () => {
    expect(upTo(2, '30 2,14 * * *', 'Europe/Berlin', '2026-03-28T23:00Z')).toEqual([
      '2026-03-29T01:00',
      '2026-03-29T12:30',
    ])
    expect(upTo(2, '30 2,14 * * *', 'Europe/Berlin', '2026-10-24T22:00Z')).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T13:30',
    ])
  })

  it('seconds go through the repeated hour without a pause', () => {
    const from = Date.parse('2026-10-25T00:00:00Z')
    const ticks = ours('*/20 * * * * *', 'Europe/Berlin', from, from + 2 * HOUR_MS)
    expect(ticks).toHaveLength(359)
    expect(ticks.every((tick, i) => tick === from + (i + 1) * 20 * SECOND_MS)).toBe(true)
  })
})
