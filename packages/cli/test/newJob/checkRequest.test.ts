import { expect, test } from 'vitest'
import { checkRequest } from '../../src/newJob/checkRequest.ts'

const taken = { names: ['cleanupPreviewSessions', 'sendURLs'], identifiers: ['createHandlers'] }

test.each([
  ['sendReminders', null],
  ['sync2Ledgers', '*/5 * * * * *'],
  ['pruneOldDraftsOfEverybody', '@daily'],
])('takes %s with %j', (name, cron) => {
  expect(checkRequest({ name, cron }, taken)).toBeNull()
})

test.each([
  ['remind', null, 'not a camelCase verb phrase of at least two words; name it by what it does'],
  ['SendReminders', null, 'not a camelCase verb phrase'],
  ['send_reminders', null, 'not a camelCase verb phrase'],
  ['../sendReminders', null, 'not a camelCase verb phrase'],
  ['', null, 'not a camelCase verb phrase'],
  ['class', null, 'a reserved word of JavaScript'],
  ['sendRemindersJob', null, 'ends in Job, which says nothing'],
  ['toString', null, "a name of JavaScript's own"],
  ['setTimeout', null, "a name of JavaScript's own"],
  ['cleanUpPreviewSessions', null, 'there is a job "cleanupPreviewSessions" already'],
  ['sendUrls', null, 'there is a job "sendURLs" already'],
  ['createHandlers', null, 'means something else where jobs are registered'],
  [`send${'Very'.repeat(20)}`, null, 'has 84 characters; take at most 60'],
  ['sendReminders', 'often', '--schedule: "often" is not a cron expression'],
  ['sendReminders', '0 0 31 2 *', '--schedule: "0 0 31 2 *" is never due; give one such as'],
])('refuses %j with %j: %s', (name, cron, reason) => {
  expect(checkRequest({ name, cron }, taken)).toContain(reason)
})
