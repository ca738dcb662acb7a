import { expect, test } from 'vitest'
import { addToCatalogue, addToHandlers, checkRequest, topLevelNames } from 'roundsman/newJob'
import { cronVariable } from '../../apps/worker/src/cronVariable.ts'

const taken = {
  cronVariable,
  names: ['cleanupPreviewSessions', 'sendURLs'],
  identifiers: ['createHandlers'],
}

test.each([
  ['sendReminders', null],
  ['sendReminders', '0 4 * * *'],
  ['sync2Ledgers', '*/5 * * * * *'],
  ['pruneOldDraftsOfEverybody', '@daily'],
])('takes %s with %j', (name, cron) => {
  expect(checkRequest({ name, cron }, taken)).toBeNull()
})

test.each([
  ['remind', null, 'not a camelCase verb phrase of at least two words; name it by what it does'],
  ['SendReminders', null, 'not a camelCase verb phrase'],
  ['send_reminders', null, 'not a camelCase verb phrase'],
  ['send-reminders', null, 'not a camelCase verb phrase'],
  ['../sendReminders', null, 'not a camelCase verb phrase'],
  ['', null, 'not a camelCase verb phrase'],
  ['class', null, 'a reserved word of JavaScript'],
  ['sendRemindersJob', null, 'ends in Job, which says nothing'],
  ['toString', null, "a name of JavaScript's own"],
  ['setTimeout', null, "a name of JavaScript's own"],
  ['cleanupPreviewSessions', null, 'there is a job "cleanupPreviewSessions" already'],
  ['cleanUpPreviewSessions', null, 'there is a job "cleanupPreviewSessions" already'],
  ['sendUrls', null, 'there is a job "sendURLs" already'],
  ['createHandlers', null, 'means something else where jobs are registered'],
  [`send${'Very'.repeat(20)}`, null, 'has 84 characters; take at most 60'],
  ['sendReminders', 'often', '--schedule: "often" is not a cron expression'],
  ['sendReminders', '0 0 31 2 *', '--schedule: "0 0 31 2 *" is never due; give one such as'],
])('refuses %j with %j: %s', (name, cron, reason) => {
  expect(checkRequest({ name, cron }, taken)).toContain(reason)
})

test('adds a job to a catalogue in its place', () => {
  const text = `import { buildB } from './buildB.ts'
import { zipZ } from './zipZ.ts'

export { buildB, zipZ }

export const jobs = [zipZ, buildB] as const
`
  expect(addToCatalogue('index.ts', text, 'makeM')).toBe(`import { buildB } from './buildB.ts'
import { makeM } from './makeM.ts'
import { zipZ } from './zipZ.ts'

export { buildB, zipZ, makeM }

export const jobs = [zipZ, buildB, makeM] as const
`)
})

test('adds a handler behind the last import and the last property, whatever that is', () => {
  const text = `import { a } from '../a.ts'
import { buildB } from './buildB.ts'

export function createHandlers(env: object) {
  const other = { env }
  return { ...others(other), buildB: buildB(a) }
}

function others(more: object): object {
  return more
}
`
  const name = { imported: 'makeM, makeMBatch', property: 'makeM: makeM({})', name: 'makeM' }
  expect(addToHandlers('index.ts', text, name)).toBe(
    text
      .replace(`./buildB.ts'`, `./buildB.ts'\nimport { makeM, makeMBatch } from './makeM.ts'`)
      .replace('buildB(a) }', 'buildB(a), makeM: makeM({}) }'),
  )
  expect(topLevelNames('index.ts', text)).toEqual(['a', 'buildB', 'createHandlers', 'others'])
})

test.each([
  ['no list', `import { a } from './a.ts'\nexport { a }\n`],
  ['no import of its folder', `export const jobs = [1] as const\nconst a = 1\nexport { a }\n`],
  ['no syntax', `import {`],
])('a catalogue with %s is left alone, and the reason given', (_, text) => {
  expect(() => addToCatalogue('index.ts', text, 'makeM')).toThrow('index.ts')
})
