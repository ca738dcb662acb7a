// Not quick: goes through years of ticks.
import { CronExpressionParser } from 'cron-parser'
import { describe, expect, it } from 'vitest'
import { isTimeOfDay, nextTicks } from '../../src/internal.ts'
import { nextTick } from '../../src/index.ts'

const between = (cron: string, timeZone: string, from: string, to: string) => {
  const ticks: string[] = []
  for (const tick of nextTicks({ cron, timeZone }, new Date(from))) {
    if (tick >= new Date(to)) break
    ticks.push(tick.toISOString())
  }
  return ticks
}

describe('nextTick', () => {
  it('is after the instant, never at it', () => {
    const at = (iso: string) =>
      nextTick({ cron: '0 3 * * *', timeZone: 'UTC' }, new Date(iso))?.toISOString()

    expect(at('2026-05-01T02:59:59Z')).toBe('2026-05-01T03:00:00.000Z')
    expect(at('2026-05-01T03:00:00Z')).toBe('2026-05-02T03:00:00.000Z')
  })

  it('finds the leap day', () => {
    expect(
      nextTick({ cron: '0 0 29 2 *', timeZone: 'UTC' }, new Date('2026-01-01'))?.toISOString(),
    ).toBe('2028-02-29T00:00:00.000Z')
  })
})

describe('daylight saving time', () => {
  it('runs a tick that falls into the spring gap once, at the end of the gap', () => {
    expect(
      between('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-30T12:00Z'),
    ).toEqual(['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'])
  })

  it('loses no quarter of an hour when the autumn hour is repeated', () => {
    const ticks = between('*/15 * * * *', 'Europe/Berlin', '2026-10-24T23:59Z', '2026-10-25T03:00Z')

    expect(ticks).toHaveLength(12)
    expect(new Set(ticks).size).toBe(12)
  })

  it('runs a daily tick of the repeated hour once', () => {
    expect(
      between('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', '2026-10-26T00:00Z'),
    ).toHaveLength(1)
  })

  it('counts times of day once where they are skipped or come twice, and intervals as the wall clock shows them', () => {
    const spring = ['Europe/Berlin', '2026-03-29T00:30:00Z', '2026-03-29T03:00:01Z'] as const
    const autumn = ['Europe/Berlin', '2026-10-24T23:30:00Z', '2026-10-25T02:30:01Z'] as const
    expect(between('0,30 2 * * *', ...spring)).toHaveLength(1)
    expect(between('0,30 2,3 * * *', ...spring)).toHaveLength(2)
    expect(between('*/15 2 * * *', ...spring)).toHaveLength(0)
    expect(between('0,30 2 * * *', ...autumn)).toHaveLength(2)
    expect(between('*/15 2 * * *', ...autumn)).toHaveLength(8)
  })

  // The months in which clocks change. Other days are like some of these.
  const MONTHS = [
    ['2026-01-01T00:00:00Z', '2026-04-10T00:00:00Z'],
    ['2026-09-28T00:00:00Z', '2026-11-05T00:00:00Z'],
  ] as const
  it.each(['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'])(
    'agrees with a second library on an hourly schedule over the months of a year in which clocks change in %s',
    (timeZone) => {
      for (const [from, to] of MONTHS) {
        const after = new Date(from)
        const judge = CronExpressionParser.parse('0 * * * *', { tz: timeZone, currentDate: after })
        const ticks = nextTicks({ cron: '0 * * * *', timeZone }, after)
        for (let at = after.getTime(); at < Date.parse(to); at += 3_600_000) {
          expect(ticks.next().value?.getTime()).toBe(judge.next().getTime())
        }
      }
    },
  )
})

describe('isTimeOfDay', () => {
  it.each([
    ['30 2 * * *', true],
    ['30 2,14 * * 1-5', true],
    ['0-30 2 1 * *', true],
    ['0 30 2 * * *', true],
    ['@daily', true],
    ['@monthly', true],
    ['*/15 2 * * *', false],
    ['0 */2 * * *', false],
    ['0 2/3 * * *', false],
    ['* 30 2 * * *', false],
    ['0 * * * *', false],
    ['@hourly', false],
  ])('tells of %s that it is one: %s', (cron, is) => {
    expect(isTimeOfDay(cron)).toBe(is)
  })

  // croner itself moves the first to the end of the gap, and leaves the other out.
  it.each([
    '30 2 * * *',
    '0-30 2 * * *',
    '15 30 2 * * *',
    '*/15 2 * * *',
    '30 2-23/21 * * *',
    '*/20 30 2 * * *',
  ])('agrees about %s with the calendar, which runs it at the end of a gap or not', (cron) => {
    const ticks = between(cron, 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-29T12:00Z')

    expect(ticks.includes('2026-03-29T01:00:00.000Z')).toBe(isTimeOfDay(cron))
  })
})
