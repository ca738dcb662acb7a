import { expect, test } from 'vitest'
import { checkTests } from '../check/checkTests.ts'
import { codeOf } from './codeOf.ts'

/** Put together here, so that this file has none of what it looks for. */
const header = (what: string, reason: string) => ['//', `${what}:`, reason].join(' ')
const calls = (name: string) => ['await ', name, '(url)\n'].join('')
const kills = (signal: string) => ['process.', "kill(pid, 'SIG", signal, "')\n"].join('')

const problemsOf = (text: string, path = 'packages/engine/test/a.test.ts') =>
  checkTests(codeOf({ [path]: text }))

test.each([
  kills('KILL'),
  kills('STOP'),
  ...[
    'startWorkerProcess',
    'useTallyStage',
    'spawnWorker',
    'startApi',
    'spawnStart',
    'acquireEmbeddedPostgres',
  ].map(calls),
  calls('runChaos'),
])('a test that kills or keeps up a process says so: %s', (text) => {
  const where = 'packages/engine/test/a.test.ts:2: kills or keeps up a process'
  expect(problemsOf(`\n${text}`)).toEqual([expect.stringContaining(where)])
  const quick = `${header('Not quick', 'starts processes.')}\n${text}`
  expect(problemsOf(quick)).toEqual([expect.stringContaining(where)])
  expect(problemsOf(`${header('Processes', 'kills workers.')}\n${text}`)).toEqual([])
})

test('one that starts none belongs to the others', () => {
  const says = header('Processes', 'kills workers.')
  expect(problemsOf(`${says}\nexpect(1).toBe(1)\n`)).toEqual([
    expect.stringContaining('packages/engine/test/a.test.ts:1: starts no process'),
  ])
  expect(problemsOf(`${says}\n${calls('spawnProcess')}`)).toEqual([])
  expect(problemsOf(`${header('Not quick', 'waits.')}\nexpect(1).toBe(1)\n`)).toEqual([])
})

test.each(['Not quick', 'Processes'])('%s stands first, with a reason', (what) => {
  const says = header(what, 'starts processes.')
  expect(problemsOf(`import 'vitest'\n${says}\n${calls('spawnProcess')}`)).toEqual([
    `packages/engine/test/a.test.ts:1: has to begin with its line "${says}"`,
  ])
  expect(problemsOf(`${header(what, '').trim()}\n${calls('spawnProcess')}`)).toEqual([
    expect.stringContaining('a.test.ts:1: say behind'),
  ])
})
