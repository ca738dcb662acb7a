import { expect, test } from 'vitest'
import { BROKEN_RULES, playHistories } from '../../../src/bench/queue/playHistory.ts'

test('strands no work, whatever commits late, rolls back or dies', () => {
  const { wrong, taken } = playHistories(1, 1_500)
  expect(wrong).toBe(0)
  expect(taken).toBeGreaterThan(10_000)
})

test.each(BROKEN_RULES)('finds work stranded by a rule that is broken: %s', (broken) => {
  expect(playHistories(1, 1_500, broken).wrong).toBeGreaterThan(0)
})
