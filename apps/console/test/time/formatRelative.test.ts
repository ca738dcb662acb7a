import { expect, it } from 'vitest'
import { formatRelative } from '../../src/parts/Moment.tsx'
import { formatRecent } from '../../src/time/formatExact.ts'

const NOW = Date.parse('2026-03-29T01:30:00Z')

it.each([
  [-1_000, 'now'],
  [1_900, 'now'],
  [-2_000, '2 s ago'],
  [-61_000, '1 min ago'],
  [90_000, 'in 1 min'],
  [2 * 3_600_000, 'in 2 h'],
  [-3 * 86_400_000, '3 d ago'],
])('says of an instant %d ms away: %s', (distance, text) => {
  expect(formatRelative(NOW + distance, NOW, true)).toBe(text)
})

it('says of what has happened by a clock that is ahead when that was, not that it will come', () => {
  const at = NOW + 36 * 60_000
  expect(formatRelative(at, NOW, false)).toBe(formatRecent(new Date(at).toISOString(), NOW))
  expect(formatRelative(NOW - 61_000, NOW, false)).toBe('1 min ago')
})
