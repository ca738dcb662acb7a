import { expect, it } from 'vitest'
import { changeInWords } from '../../src/console/describeSchedules.ts'

it.each([
  [
    '0 8 * * * in UTC, before: 0,30 7 * * * in UTC',
    'At 08:00',
    'At 0 and 30 minutes past the hour, at 07:00',
  ],
  [
    '0 8 * * * in UTC, before: 0 8 * * * in Asia/Tokyo',
    'At 08:00 in UTC',
    'At 08:00 in Asia/Tokyo',
  ],
  ['odd in UTC, before: @daily in UTC', 'odd', 'At 00:00'],
  ['0 8 * * * in UTC by A_CRON, before: 0 7 * * * in UTC', 'At 08:00 by A_CRON', 'At 07:00'],
  ['*/15 * * * * in UTC, before: 0/15 * * * * in UTC', '*/15 * * * *', '0/15 * * * *'],
  ['what a newer version writes', 'what a newer version writes', null],
])('reads "%s"', (recorded, to, before) => {
  expect(changeInWords(recorded)).toEqual({ to, before })
})
