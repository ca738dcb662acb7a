import { describe, expect, it } from 'vitest'
import { formatDuration, formatRoughDuration } from '../../src/time/formatDuration.ts'

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [340, '340 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [1_240, '1.2 s'],
    [9_960, '10 s'],
    [14_400, '14 s'],
    [59_700, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 min'],
    [86_400_000, '1 d'],
    [273_600_000, '3 d 4 h'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  it('takes a negative one, from clocks that differ, for none', () => {
    expect(formatDuration(-5)).toBe('0 ms')
  })
})

describe('formatRoughDuration', () => {
  it.each([
    [400, '0 s'],
    [59_999, '59 s'],
    [14 * 60_000 + 59_000, '14 min'],
    [25 * 3_600_000, '1 d'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatRoughDuration(ms)).toBe(text)
  })
})
