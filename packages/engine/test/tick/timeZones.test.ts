// Not quick: goes through ten years of ticks.
import { describe, expect, it } from 'vitest'
import { nextTicks } from '../../src/internal.ts'
import { byWallClock, readWallClock, transitionsOf } from '../fixtures/wallClock.ts'

const FROM = Date.parse('2024-01-01T00:00:00Z')
const SECOND_MS = 1_000
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
  'Asia/Beirut',
  // Changes by two hours.
  'Antarctica/Troll',
]

function ours(cron: string, timeZone: string, from: number, to: number): number[] {
  const ticks: number[] = []
  for (const tick of nextTicks({ cron, timeZone }, new Date(from))) {
    if (tick.getTime() >= to) break
    ticks.push(tick.getTime())
  }
  return ticks
}

/** Sorted, and each once. */
const iso = (instants: Iterable<number>) =>
  [...new Set(instants)].toSorted((a, b) => a - b).map((instant) => new Date(instant).toISOString())

function* windows(timeZone: string, marginMs: number): Generator<[from: number, to: number]> {
  const transitions = transitionsOf(timeZone)
  for (const { at } of transitions) yield [at - marginMs, at + marginMs]
  // A zone that never changes its clocks is tried with an ordinary week.
  if (transitions.length === 0) yield [FROM, FROM + 2 * marginMs]
}

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
  it.each(ZONES)('%s', (timeZone) => {
    for (const [from, to] of windows(timeZone, DAY_MS / 2)) {
      const minutes = readWallClock(timeZone, from, to)
      for (const cron of crons) {
        const found = ours(cron, timeZone, from, to)
        const ticks = iso(found)
        expect(found, 'each once, in order').toHaveLength(ticks.length)
        expect(ticks, cron).toEqual(iso(byWallClock(cron, timeZone, minutes, from, to)))
      }
    }
  })
})

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
