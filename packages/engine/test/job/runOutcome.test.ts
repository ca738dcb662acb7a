import { openForTests } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { expect, it } from 'vitest'
import { outcomeOf } from '../../src/job/runOutcome.ts'

const database = openForTests(openTestDatabase)

async function outcome(status: string, errorCode: string | null): Promise<string | undefined> {
  const [found] = await database.reader.rows<{ outcome: string }>({
    text: `
      select ${outcomeOf('run.')} as "outcome"
      from (select $1::text::"JobRunStatus" as "status", $2::text as "errorCode") run`,
    values: [status, errorCode],
  })
  return found?.outcome
}

it.each([
  ['cancelled', 'cancelled'],
  ['guard_blocked', 'blocked'],
  ['worker_lost', 'lost'],
  ['expired', 'expired'],
  ['drained', 'givenBack'],
  ['handler_failed', 'failed'],
  ['toString', 'failed'],
  [null, 'failed'],
])('calls a run that failed with %s %s', async (errorCode, expected) => {
  expect(await outcome('failed', errorCode)).toBe(expected)
})

it('calls what has not failed by its status', async () => {
  expect(await outcome('success', 'cancelled')).toBe('success')
  expect(await outcome('running', null)).toBe('running')
})
