import { describe, expect, it } from 'vitest'
import { readInstant, writeInstant } from '../../src/time/readInstant.ts'

const NOW = Date.parse('2026-11-24T09:30:00Z')
const read = (text: string) => readInstant(text, NOW)

describe('readInstant', () => {
  it('reads what it writes, on the viewer’s clock', () => {
    const text = writeInstant('2026-11-24T03:05:00.000Z')
    expect(text).toMatch(/^2026-11-2[345] \d\d:\d\d$/)
    expect(read(text)).toBe('2026-11-24T03:05:00.000Z')
    expect(writeInstant(undefined)).toBe('')
    expect(writeInstant('soon')).toBe('')
  })

  it.each([
    ['2026-11-24 09:00Z', '2026-11-24T09:00:00.000Z'],
    ['2026-11-24T09:00:30 UTC', '2026-11-24T09:00:30.000Z'],
    ['2026-11-24 09:00:30.25Z', '2026-11-24T09:00:30.250Z'],
    ['2026-11-24 09:00 +05:30', '2026-11-24T03:30:00.000Z'],
    ['now', '2026-11-24T09:30:00.000Z'],
    [' 3 h ago ', '2026-11-24T06:30:00.000Z'],
    ['30min', '2026-11-24T09:00:00.000Z'],
    ['2 d', '2026-11-22T09:30:00.000Z'],
  ])('reads %j', (text, instant) => {
    expect(read(text)).toBe(instant)
  })

  it('reads a day as its beginning for the viewer', () => {
    expect(read('2026-11-24')).toBe(new Date(2026, 10, 24).toISOString())
    expect(read('today')).toBe(new Date(new Date(NOW).setHours(0, 0, 0, 0)).toISOString())
    expect(Date.parse(read('today')!) - Date.parse(read('yesterday')!)).toBe(86_400_000)
  })

  it.each(
    [
      ['', '11/24/2026', '2026-02-30', '2026-13-01', '24.11.2026', '2026-11-24 25:00', 'soon'],
      // The server knows the years 1 to 9999.
      ['0000-12-31 09:00Z', '0001-01-01 00:00 +01:00', '9999-12-31 23:59 -01:00'],
    ].flat(),
  )('does not read %j', (text) => {
    expect(read(text)).toBeNull()
  })
})
