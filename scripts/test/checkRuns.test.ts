import { expect, test } from 'vitest'
import { runChecks } from '../check/runChecks.ts'

test('runs every check though others fail, and says which and why', async () => {
  const ran: string[] = []
  const check = (name: string, run: () => readonly string[]) => ({
    name,
    run: async () => {
      ran.push(name)
      return run()
    },
  })
  let output = ''
  const ok = await runChecks({
    prepare: check('first', () => ['cannot be prepared']),
    checks: [
      check('bad', () => ['one problem', 'another,\non two lines']),
      check('good', () => []),
      check('broken', () => {
        throw new Error('no such program')
      }),
    ],
    write: (text) => {
      output += text
    },
  })
  expect(ok).toBe(false)
  expect(ran).toEqual(['first', 'bad', 'good', 'broken'])
  expect(output.replaceAll(/\d+\.\d s/g, '0.0 s')).toBe(`FAIL  first            0.0 s
FAIL  bad              0.0 s
PASS  good             0.0 s
FAIL  broken           0.0 s

first
  cannot be prepared

bad
  one problem
  another,
  on two lines

broken
  no such program

1 checks passed, 3 failed
`)
})

test('is content when no check has anything to say', async () => {
  const check = { name: 'good', run: async () => [] }
  expect(await runChecks({ checks: [check], write: () => undefined })).toBe(true)
})
