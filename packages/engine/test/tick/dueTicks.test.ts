// Not quick: decides thousands of ticks.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineJob, type Schedule, type ScheduledJob } from '../../src/index.ts'
import { nextTicks } from '../../src/internal.ts'
import { countTicks } from '../../src/tick/countTicks.ts'
import { dueTicks, MAX_LISTED } from '../../src/tick/dueTicks.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const schedule = (cron: string, timeZone: string) =>
  (defineJob({ name: 'sweep', schedule: { cron, timeZone } }) as ScheduledJob).schedule

/** Lists them one by one, as the calendar has them. */
function list(of: Schedule, after: Date, through: Date): Date[] {
  const ticks: Date[] = []
  for (const tick of nextTicks(of, after)) {
    if (tick > through) break
    ticks.push(tick)
  }
  return ticks
}

// Places whose clocks change by an hour, by half an hour, at midnight, backwards in spring, by a day, or never.
const PLACES: [timeZone: string, ...around: string[]][] = [
  ['UTC', '2026-02-28T23:00:00Z'],
  ['Europe/Berlin', '2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z', '2026-12-31T23:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z', '2026-11-01T06:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z', '2026-04-04T15:00:00Z'],
  ['America/Havana', '2026-03-08T05:00:00Z', '2026-11-01T05:00:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00:00Z', '2026-03-22T02:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z'],
  ['America/St_Johns', '2026-03-08T05:30:00Z', '2026-11-01T04:30:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z', '2021-04-03T14:00:00Z'],
  ['Asia/Kolkata', '2026-06-01T00:00:00Z'],
]

const field = (min: number, max: number, wildcard: fc.Arbitrary<string>) => {
  const value = fc.integer({ min, max })
  const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`)
  return fc.oneof(
    { weight: 2, arbitrary: value.map(String) },
    range,
    fc.uniqueArray(value, { minLength: 1, maxLength: 4 }).map((values) => values.join(',')),
    { weight: 3, arbitrary: wildcard },
    fc.tuple(range, fc.integer({ min: 1, max: 7 })).map(([of, step]) => `${of}/${step}`),
  )
}
const any = fc.constant('*')
const steps = (max: number) => fc.integer({ min: 1, max }).map((step) => `*/${step}`)
const timeFields = fc.tuple(
  field(0, 59, fc.oneof(any, steps(59))),
  field(0, 59, fc.oneof(any, steps(59))),
  // Mostly the hours in which clocks change.
  fc.oneof(field(0, 23, fc.oneof(any, steps(23))), field(0, 4, any)),
)
const dayFields = fc.oneof(
  { weight: 3, arbitrary: fc.constant('* * *') },
  fc.tuple(field(1, 28, any), any, field(0, 6, any)).map((fields) => fields.join(' ')),
  fc.constantFrom(
    'L * *',
    '* * 7#2',
    '15 * 5',
    '* 3,10 *',
    '* * 0L',
    '29 2 *',
    '* JAN-MAR MON-FRI',
  ),
)
const crons = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .tuple(timeFields, dayFields)
      .map(([[second, minute, hour], days]) => `${second} ${minute} ${hour} ${days}`),
  },
  fc.tuple(timeFields, dayFields).map(([[, minute, hour], days]) => `${minute} ${hour} ${days}`),
  fc.constantFrom('@hourly', '@daily', '@weekly', '@monthly', '@yearly', '@Midnight'),
)
const places = fc
  .constantFrom(...PLACES)
  .chain(([timeZone, ...around]) => fc.tuple(fc.constant(timeZone), fc.constantFrom(...around)))

/** Longer lists are not compared. */
const MAX_COMPARED = 400

describe('countTicks', () => {
  it('counts as many as the calendar lists, whatever the expression, the zone and its changes', async () => {
    await fc.assert(
      fc.asyncProperty(
        crons,
        places,
        fc.integer({ min: -30 * 3_600, max: 6 * 3_600 }),
        fc.integer({ min: 0, max: 4 * 86_400 }),
        fc.nat({ max: 999 }),
        async (cron, [timeZone, around], startS, lengthS, ms) => {
          const of = { cron, timeZone } as Schedule
          const after = new Date(Date.parse(around) + startS * 1_000 + ms)
          let through = new Date(after.getTime() + lengthS * 1_000)
          let expected = 0
          for (const tick of nextTicks(of, after)) {
            if (tick > through) break
            if (++expected < MAX_COMPARED) continue
            through = tick
            break
          }
          expect(await countTicks(of, after, through)).toBe(expected)
        },
      ),
      { numRuns: 300 },
    )
  }, 120_000)

  it('knows what a change does to times of day', async () => {
    const around = async (cron: string, timeZone: string, from: string, to: string) =>
      countTicks({ cron, timeZone }, new Date(from), new Date(to))
    const spring = ['Europe/Berlin', '2026-03-29T00:30:00Z', '2026-03-29T03:00:00Z'] as const
    const autumn = ['Europe/Berlin', '2026-10-24T23:30:00Z', '2026-10-25T02:30:00Z'] as const
    expect(await around('0,30 2 * * *', ...spring)).toBe(1)
    expect(await around('0,30 2,3 * * *', ...spring)).toBe(2)
    expect(await around('*/15 2 * * *', ...spring)).toBe(0)
    expect(await around('0,30 2 * * *', ...autumn)).toBe(2)
    expect(await around('*/15 2 * * *', ...autumn)).toBe(8)
  })
})

describe('dueTicks', () => {
  it('lists the newest, and counts the earlier ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          '*/5 * * * * *',
          '* * * * *',
          '0-59 2,3 * * *',
          '0 */2 * * *',
          '30 2 * * *',
        ),
        places,
        fc.integer({ min: 0, max: 24 * 3_600 }),
        async (cron, [timeZone, around], lengthS) => {
          const cursor = new Date(Date.parse(around) - (lengthS / 2) * 1_000)
          const now = new Date(cursor.getTime() + Math.min(lengthS, 6 * 3_600) * 1_000 + 300)
          const ticks = list(schedule(cron, timeZone), cursor, now)
          const early = ticks.slice(0, Math.max(0, ticks.length - MAX_LISTED))
          expect(await dueTicks(schedule(cron, timeZone), cursor, now)).toEqual({
            listed: ticks.slice(-MAX_LISTED),
            earlier:
              early.length === 0
                ? null
                : {
                    count: early.length,
                    from: early[0],
                    through: early.at(-1),
                  },
          })
        },
      ),
      { numRuns: 60 },
    )
  }, 120_000)

  it('of a year by the second looks at a few hundred ticks, not at millions', async () => {
    const of = schedule('* * * * * *', 'Europe/Berlin')
    const now = new Date('2026-11-25T12:00:00.500Z')
    const cursor = new Date(now.getTime() - 365 * DAY_MS)
    const { listed, earlier } = await dueTicks(of, cursor, now)
    expect(listed).toHaveLength(MAX_LISTED)
    expect(listed.at(-1)).toEqual(new Date('2026-11-25T12:00:00Z'))
    expect(earlier).toEqual({
      count: 365 * 86_400 - MAX_LISTED,
      from: new Date('2025-11-25T12:00:01Z'),
      through: new Date(listed[0]!.getTime() - 1_000),
    })
  })
})
