import { expect, it } from 'vitest'
import { describeDuration } from '../../src/command/describeDuration.ts'

it.each([
  [0, '0 ms'],
  [12.4, '12 ms'],
  [999, '999 ms'],
  [1_000, '1 s'],
  [90_000, '1 min 30 s'],
  [900_000, '15 min'],
  [3_600_000, '1 h'],
  [5_400_000, '1 h 30 min'],
  [86_400_000, '1 d'],
  [90_061_000, '1 d 1 h'],
  [86_400_000 + 60_000, '1 d'],
  [35 * 86_400_000, '35 d'],
])('%d ms are %s', (ms, words) => {
  expect(describeDuration(ms)).toBe(words)
})
