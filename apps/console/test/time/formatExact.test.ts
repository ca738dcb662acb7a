import { describe, expect, it } from 'vitest'
import {
  exactLines,
  formatClock,
  formatExact,
  formatRecent,
  formatShort,
} from '../../src/time/formatExact.ts'
import { nameDate } from '../../src/time/nameDate.ts'

describe('formatExact', () => {
  it('says the instant on the wall clock and in UTC', () => {
    expect(formatExact('2026-11-24T03:00:12.345Z', 'Europe/Berlin')).toEqual({
      local: '2026-11-24 04:00:12 CET',
      utc: '2026-11-24 03:00:12 UTC',
    })
  })

  it('tells the two hours apart that the wall clock shows twice', () => {
    const first = formatExact('2026-10-25T00:30:00Z', 'Europe/Berlin').local
    const second = formatExact('2026-10-25T01:30:00Z', 'Europe/Berlin').local
    expect([first, second]).toEqual(['2026-10-25 02:30:00 CEST', '2026-10-25 02:30:00 CET'])
  })

  it('writes midnight as the beginning of a day', () => {
    expect(formatExact('2026-11-24T00:00:00Z', 'UTC').local).toBe('2026-11-24 00:00:00 UTC')
  })

  it('hands back what is no instant', () => {
    expect(formatExact('soon')).toEqual({ local: 'soon', utc: 'soon' })
  })
})

describe('exactLines', () => {
  const at = '2026-11-24T03:00:12.345Z'

  it('has a line for each clock that shows something of its own', () => {
    expect(exactLines(at, 'Asia/Kolkata', 'Europe/Berlin')).toEqual([
      '2026-11-24 04:00:12 CET',
      '2026-11-24 03:00:12 UTC',
      '2026-11-24 08:30:12 Asia/Kolkata',
    ])
    expect(exactLines(at, 'Europe/Paris', 'Europe/Berlin')).toHaveLength(2)
    expect(exactLines(at, 'Europe/London', 'UTC')).toEqual(['2026-11-24 03:00:12 UTC'])
  })

  it('hands back what is no instant', () => {
    expect(exactLines('soon', 'Europe/Berlin')).toEqual(['soon'])
  })
})

describe('shorter ones', () => {
  it('say the day and the minute', () => {
    expect(formatShort('2026-11-24T03:05:00Z', 'UTC')).toBe('Tue 24 Nov, 03:05')
    expect(formatClock('2026-11-24T23:30:00Z', 'Europe/Berlin')).toBe('00:30')
    const now = Date.parse('2026-11-24T23:30:00Z')
    const recent = (instant: string) => formatRecent(instant, now, 'Europe/Berlin')
    expect(recent('2026-11-24T23:05:00Z')).toBe('00:05')
    expect(recent('2026-11-24T22:55:00Z')).toBe('Tue 24 Nov, 23:55')
    expect(nameDate('2026-11-24')).toBe('Tue 24 Nov')
  })
})
