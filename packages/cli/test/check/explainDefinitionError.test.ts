import { defineJob } from '@roundsman/engine'
import { expect, it } from 'vitest'
import { explainDefinitionError } from '../../src/check/checkCommand.ts'

const thrownBy = (define: () => unknown): unknown => {
  try {
    return define()
  } catch (error) {
    return error
  }
}

it.each([
  [{ cron: '99 * * * *' }, '"99 * * * *" is not a cron expression'],
  [{ cron: '0 3 * * *', timeZone: 'Mars/Olympus' }, '"Mars/Olympus" is not an IANA time zone'],
])('makes a finding of what defineJob refuses: %j', (schedule, problem) => {
  const error = thrownBy(() => defineJob({ name: 'sweepFloors', schedule }))

  expect(explainDefinitionError(error)).toMatchObject({
    severity: 'error',
    code: 'definition_invalid',
    job: 'sweepFloors',
    problem: expect.stringContaining(problem),
  })
})

it('knows no other error', () => {
  expect(explainDefinitionError(new TypeError('x is not a function'))).toBeNull()
  expect(explainDefinitionError(new Error('Job "a": b'))).toBeNull()
  expect(explainDefinitionError(undefined)).toBeNull()
})
