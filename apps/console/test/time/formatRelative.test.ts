import { expect, it } from 'vitest'
import { formatRelative } from '../../src/parts/Moment.tsx'

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
  expect(formatRelative(NOW + distance, NOW)).toBe(text)
})
