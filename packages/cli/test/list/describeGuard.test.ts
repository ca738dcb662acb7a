import { expect, it } from 'vitest'
import { describeGuard } from '../../src/list/formatJobs.ts'

const none = { guard: null, isDestructive: false, unguarded: null }

it.each([
  [none, 'none'],
  [{ ...none, isDestructive: true }, 'none, though it is destructive'],
  [
    { ...none, isDestructive: true, unguarded: 'It can be made anew.' },
    'none: It can be made anew.',
  ],
  [{ ...none, guard: { maxRows: 1_000 } }, 'asks above 1,000 rows'],
  [{ ...none, guard: { maxRows: 10, maxShare: 0.5 } }, 'asks above 10 rows or 50 % of the rows'],
  [
    { ...none, guard: { maxShare: 0.125, minRows: 10_000 } },
    'asks above 12.5 % of the rows, never below 10,000 rows',
  ],
])('%j: %s', (job, words) => {
  expect(describeGuard(job)).toBe(words)
})
