import { describe, expect, it } from 'vitest'
import {
  exactLines,
  formatClock,
  formatExact,
  formatRecent,
  formatShort,
  nameDate,
} from '../../src/time/formatExact.ts'

describe('formatExact', () => {
  it('says the instant on the wall clock and in UTC', () => {
    expect(formatExact('2026-11-24T03:00:12.345Z', 'Europe/Berlin')).toEqual({
      local: 'Tue 24 Nov 2026, 04:00:12 CET',
      utc: 'Tue 24 Nov 2026, 03:00:12 UTC',
    })
  })

  it('tells the two hours apart that the wall clock shows twice', () => {
    const first = formatExact('2026-10-25T00:30:00Z', 'Europe/Berlin').local
    const second = formatExact('2026-10-25T01:30:00Z', 'Europe/Berlin').local
    expect([first, second]).toEqual([
      'Sun 25 Oct 2026, 02:30:00 CEST',
      'Sun 25 Oct 2026, 02:30:00 CET',
    ])
  })

  it('writes midnight as the beginning of a day', () => {
    expect(formatExact('2026-11-24T00:00:00Z', 'UTC').local).toBe('Tue 24 Nov 2026, 00:00:00 UTC')
  })

  it('hands back what is no instant', () => {
    expect(formatExact('soon')).toEqual({ local: 'soon', utc: 'soon' })
  })
})

describe('exactLines', () => {
  const at = '2026-11-24T03:00:12.345Z'

  it('has a line for each clock that shows something of its own', () => {
    expect(exactLines(at, 'Asia/Kolkata', 'Europe/Berlin')).toEqual([
      'Tue 24 Nov 2026, 04:00:12 CET',
      'Tue 24 Nov 2026, 03:00:12 UTC',
      'Tue 24 Nov 2026, 08:30:12 Asia/Kolkata',
    ])
    expect(exactLines(at, 'Europe/Paris', 'Europe/Berlin')).toHaveLength(2)
    expect(exactLines(at, 'Europe/London', 'UTC')).toEqual(['Tue 24 Nov 2026, 03:00:12 UTC'])
  })

  it('hands back what is no instant', () => {
    expect(exactLines('soon', 'Europe/Berlin')).toEqual(['soon'])
  })
})

describe('shorter ones', () => {
  const now = Date.parse('2026-11-24T23:30:00Z')

  it('say the day and the minute, and the year where it is another', () => {
    expect(formatShort('2026-11-24T03:05:00Z', 'UTC', now)).toBe('Tue 24 Nov, 03:05')
    expect(formatShort('2028-02-29T09:00:00Z', 'UTC', now)).toBe('Tue 29 Feb 2028, 09:00')
    expect(formatClock('2026-11-24T23:30:00Z', 'Europe/Berlin')).toBe('00:30')
    const recent = (instant: string) => formatRecent(instant, now, 'Europe/Berlin')
    expect(recent('2026-11-24T23:05:00Z')).toBe('00:05')
    expect(recent('2026-11-24T22:55:00Z')).toBe('Tue 24 Nov, 23:55')
    expect(nameDate('2026-11-24', now)).toBe('Tue 24 Nov')
    expect(nameDate('2025-11-24', now)).toBe('Mon 24 Nov 2025')
  })
})
