import { expect, it } from 'vitest'
import { runOutcome } from '../../src/api/runOutcome.ts'

it.each([
  ['cancelled', 'cancelled'],
  ['guard_blocked', 'blocked'],
  ['worker_lost', 'lost'],
  ['expired', 'expired'],
  ['drained', 'givenBack'],
  ['handler_failed', 'failed'],
  ['toString', 'failed'],
])('calls a run that failed with %s %s', (code, outcome) => {
  expect(runOutcome({ status: 'failed', details: { error: { code, message: '' } } })).toBe(outcome)
})

it('calls what has not failed by its status, whatever its details say', () => {
  const details = { error: { code: 'cancelled', message: '' } }
  expect(runOutcome({ status: 'success', details })).toBe('success')
  expect(runOutcome({ status: 'running', details: null })).toBe('running')
})
