import { expect, it } from 'vitest'
import { runOutcome } from '../../src/read/runOutcome.ts'

it.each([
  ['cancelled', 'cancelled'],
  ['guard_blocked', 'blocked'],
  ['worker_lost', 'lost'],
  ['expired', 'expired'],
  ['drained', 'givenBack'],
  ['handler_failed', 'failed'],
  ['toString', 'failed'],
  [null, 'failed'],
])('calls a run that failed with %s %s', (errorCode, outcome) => {
  expect(runOutcome({ status: 'failed', errorCode })).toBe(outcome)
})

it('calls what has not failed by its status', () => {
  expect(runOutcome({ status: 'success', errorCode: 'cancelled' })).toBe('success')
  expect(runOutcome({ status: 'running', errorCode: null })).toBe('running')
})
