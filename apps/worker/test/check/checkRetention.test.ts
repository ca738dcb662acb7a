import { defineJob, isScheduled, type Job } from '@roundsman/engine'
import { expect, it } from 'vitest'
import { checkRetention } from '../../src/check/checkProject.ts'

const DAY_MS = 86_400_000

function check(catchUpDays: number, days: number, failedDays = 90) {
  const schedule = { cron: '0 3 * * *', catchUpMs: catchUpDays * DAY_MS }
  const job = defineJob({ name: 'sweepFloors', schedule })
  return checkRetention(([job] as Job[]).filter(isScheduled), {
    JOB_RUN_RETENTION_DAYS: days,
    JOB_RUN_FAILED_RETENTION_DAYS: failedDays,
  })
}

it('finds a ledger that forgets ticks for which somebody may still make up', () => {
  expect(check(7, 7)).toEqual([])
  expect(check(8, 7)).toEqual([
    {
      severity: 'error',
      code: 'retention_shorter_than_catch_up',
      job: 'sweepFloors',
      problem: expect.stringContaining(
        'makes up for ticks of 8 d, and the ledger forgets them after 7',
      ),
      remedy: 'set JOB_RUN_RETENTION_DAYS to 8 or more, or lower its catchUpMs',
    },
  ])
})

it('finds failed runs that are gone before those that succeeded', () => {
  expect(check(1, 30, 30)).toEqual([])
  expect(check(1, 30, 29)).toMatchObject([
    { severity: 'warning', code: 'failed_runs_kept_shorter', job: null },
  ])
})
