import { defineJob, defineLimit, type Job } from '@roundsman/engine'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { checkDefinitions } from '../../src/check/checkDefinitions.ts'

const cronVariable = (name: string) => `${name.toUpperCase()}_CRON`

const sweep = defineJob({ name: 'sweepFloors', schedule: { cron: '0 3 * * *' } })
const found = (...jobs: Job[]) =>
  checkDefinitions({ jobs, cronVariable }).map(
    ({ severity, code, job }) => `${severity} ${code} ${job}`,
  )

it('finds nothing in what is right', () => {
  const destructive = { ...sweep, name: 'wipe', isDestructive: true }

  expect(found(sweep, { ...destructive, guard: { maxRows: 1 } })).toEqual([])
  expect(found(sweep, { ...destructive, unguarded: 'Nobody needs it.' })).toEqual([])
})

it('finds two jobs of one name, and two whose cron variables are the same', () => {
  expect(found(sweep, sweep)).toEqual(['error name_taken sweepFloors'])
  expect(found({ ...sweep, name: 'sendABC' }, { ...sweep, name: 'sendAbc' })).toEqual([
    'error name_taken sendAbc',
  ])
  expect(found({ ...sweep, name: 'sendABC' }, { ...sweep, name: 'sendABCs' })).toEqual([])
})

it.each([
  ['61 * * * *', 'UTC', '"61 * * * *" is not a cron expression'],
  ['0 0 31 2 *', 'UTC', 'is never due'],
  ['0 3 * * *', 'Mars/Olympus', '"Mars/Olympus" is not an IANA time zone'],
])('finds a schedule %s in %s that was not defined by defineJob', (cron, timeZone, problem) => {
  const wrong = { ...sweep, schedule: { ...sweep.schedule!, cron, timeZone } }

  expect(checkDefinitions({ jobs: [wrong], cronVariable })).toEqual([
    {
      severity: 'error',
      code: 'schedule_invalid',
      job: 'sweepFloors',
      problem: expect.stringContaining(problem),
      remedy: expect.stringContaining('correct cron or timeZone'),
    },
  ])
})

it('finds a schedule whose job wants a payload', () => {
  expect(found({ ...sweep, payload: z.strictObject({ id: z.string() }) })).toEqual([
    'error payload_missing sweepFloors',
  ])
  expect(found({ ...sweep, payload: z.object({ id: z.string().default('') }) })).toEqual([])
})

it('finds a shared limit that two jobs define differently', () => {
  const job = (name: string, global: number) =>
    defineJob({ name, limits: [defineLimit({ name: 'stripe', global })] })
  expect(found(job('charge', 5), job('refund', 5))).toEqual([])
  expect(found(job('charge', 5), job('refund', 6))).toEqual(['error limit_differs refund'])
})

it('finds a schedule whose payload has a key that cannot be', () => {
  const keyed = (key: (payload: unknown) => string | null) => ({
    ...sweep,
    partition: { key, order: 'fair' as const },
  })
  expect(found(keyed(() => null))).toEqual([])
  expect(found(keyed(() => 'x'.repeat(201)))).toEqual(['error key_invalid sweepFloors'])
})

it('finds a destructive job that has neither a guard nor a reason for having none', () => {
  expect(checkDefinitions({ jobs: [{ ...sweep, isDestructive: true }], cronVariable })).toEqual([
    {
      severity: 'error',
      code: 'guard_missing',
      job: 'sweepFloors',
      problem: expect.stringContaining('has no guard'),
      remedy: expect.stringContaining('unguarded'),
    },
  ])
})
