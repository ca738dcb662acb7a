// Not quick: decides thousands of ticks.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineJob, type Schedule, type ScheduledJob } from '../../src/index.ts'
import { nextTicks } from '../../src/internal.ts'
import { dueTicks, MAX_COUNTED, MAX_LISTED } from '../../src/tick/dueTicks.ts'

const DAY_MS = 86_400_000

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

const places = fc
  .constantFrom(...PLACES)
  .chain(([timeZone, ...around]) => fc.tuple(fc.constant(timeZone), fc.constantFrom(...around)))

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
                    isOver: false,
                    from: early[0],
                    through: early.at(-1),
                  },
          })
        },
      ),
      { numRuns: 30 },
    )
  }, 120_000)

  it('of a year by the second says that there were over 10,000', async () => {
    const of = schedule('* * * * * *', 'Europe/Berlin')
    const now = new Date('2026-11-25T12:00:00.500Z')
    const cursor = new Date(now.getTime() - 365 * DAY_MS)
    const { listed, earlier } = await dueTicks(of, cursor, now)
    expect(listed).toHaveLength(MAX_LISTED)
    expect(listed.at(-1)).toEqual(new Date('2026-11-25T12:00:00Z'))
    expect(earlier).toEqual({
      count: MAX_COUNTED,
      isOver: true,
      from: new Date('2025-11-25T12:00:01Z'),
      through: new Date(listed[0]!.getTime() - 1_000),
    })
  })

  /** The last of so many is due at this very instant. */
  const ofTicks = async (ticks: number) => {
    const cursor = new Date('2026-11-25T00:00:00Z')
    const now = new Date(cursor.getTime() + ticks * 1_000)
    return await dueTicks(schedule('* * * * * *', 'UTC'), cursor, now)
  }

  it('counts exactly as many as it counts at most', async () => {
    expect((await ofTicks(MAX_LISTED + MAX_COUNTED)).earlier).toMatchObject({
      count: MAX_COUNTED,
      isOver: false,
    })
    expect((await ofTicks(MAX_LISTED + MAX_COUNTED + 1)).earlier).toMatchObject({
      count: MAX_COUNTED,
      isOver: true,
    })
  })

  it('lists exactly as many as it lists at most', async () => {
    const all = await ofTicks(MAX_LISTED)
    expect(all.listed).toHaveLength(MAX_LISTED)
    expect(all.earlier).toBeNull()
    const more = await ofTicks(MAX_LISTED + 1)
    expect(more.listed).toEqual([...all.listed.slice(1), new Date('2026-11-25T00:01:41Z')])
    expect(more.earlier).toMatchObject({ count: 1, isOver: false, through: all.listed[0] })
  })
})
