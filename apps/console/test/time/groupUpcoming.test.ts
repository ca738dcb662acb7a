import { describe, expect, it } from 'vitest'
import { groupUpcoming, localClock, type UpcomingTick } from '../../src/time/groupUpcoming.ts'

function tick(local: string, offset: string, mark: UpcomingTick['mark'] = null): UpcomingTick {
  return { at: `${local}${offset}`, local, offset, mark }
}

describe('groupUpcoming', () => {
  it('groups by the date of the zone, and not of UTC', () => {
    const days = groupUpcoming([
      tick('2026-11-24T23:30:00', '+01:00'),
      tick('2026-11-25T00:30:00', '+01:00'),
      tick('2026-11-25T00:45:00', '+01:00'),
    ])
    expect(days.map(({ date, ticks }) => [date, ticks.length])).toEqual([
      ['2026-11-24', 1],
      ['2026-11-25', 2],
    ])
    expect(days.some(({ hasClockChange }) => hasClockChange)).toBe(false)
  })

  it('marks the day on which a tick falls into the gap', () => {
    const [before, change, after] = groupUpcoming([
      tick('2027-03-27T02:30:00', '+01:00'),
      tick('2027-03-28T03:00:00', '+02:00', 'afterGap'),
      tick('2027-03-29T02:30:00', '+02:00'),
    ])
    expect(before?.hasClockChange).toBe(false)
    expect(change).toMatchObject({ hasClockChange: true, offsets: ['+01:00', '+02:00'] })
    expect(after?.hasClockChange).toBe(false)
  })

  it('marks the day on which the offset changes, with both offsets, though no tick is odd', () => {
    const [change] = groupUpcoming([
      tick('2026-10-25T00:00:00', '+02:00'),
      tick('2026-10-25T12:00:00', '+01:00'),
    ])
    expect(change).toMatchObject({ hasClockChange: true, offsets: ['+02:00', '+01:00'] })
  })

  it('marks the first day with a tick after a change that happened between two ticks', () => {
    const days = groupUpcoming([
      tick('2026-10-24T12:00:00', '+02:00'),
      tick('2026-10-25T12:00:00', '+01:00'),
    ])
    expect(days.map(({ hasClockChange }) => hasClockChange)).toEqual([false, true])
    expect(days[1]?.offsets).toEqual(['+02:00', '+01:00'])
  })

  it('marks the day of a tick that says so, though none comes before it', () => {
    const [day] = groupUpcoming([tick('2026-10-25T02:30:00', '+01:00', 'repeatedHour')])
    expect(day).toMatchObject({ hasClockChange: true, offsets: ['+01:00'] })
  })

  it('has no days without ticks', () => {
    expect(groupUpcoming([])).toEqual([])
  })
})

describe('localClock', () => {
  it.each([
    ['2026-10-25T02:30:00', '02:30'],
    ['2026-10-25T02:30:15', '02:30:15'],
    ['2026-10-25 02:30', '02:30'],
  ])('of %s is %s', (local, clock) => {
    expect(localClock({ local })).toBe(clock)
  })
})
