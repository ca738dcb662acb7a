import { expect, it } from 'vitest'
import { nearest } from '../../src/index.ts'

const names = ['importFeed', 'exportFeed', 'sendReminders']

it.each([
  ['importFed', 'importFeed'],
  ['imporftFeed', 'importFeed'],
  ['IMPORTFEED', 'importFeed'],
  ['sendRemidners', 'sendReminders'],
  ['exportFeeds', 'exportFeed'],
])('takes %s for %s', (wanted, meant) => {
  expect(nearest(wanted, names)).toBe(meant)
})

it.each(['cleanUp', 'import', 'se', ''])('takes "%s" for none', (wanted) => {
  expect(nearest(wanted, names)).toBeNull()
})
