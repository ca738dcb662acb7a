import { expect, it } from 'vitest'
import { describeCron } from '../../src/list/describeJobs.ts'

it.each([
  ['*/15 * * * *', 'every 15 minutes'],
  ['0 3 * * *', 'at 03:00'],
  ['*/10 * * * * *', 'every 10 seconds'],
  ['30 2 * * 1', 'at 02:30, only on Monday'],
  ['0 4 L * *', 'at 04:00, on the last day of the month'],
])('%s is %s', (cron, words) => {
  expect(describeCron(cron)).toBe(words)
})

it('leaves alone what nobody has words for', () => {
  expect(describeCron('not one')).toBe('not one')
})
