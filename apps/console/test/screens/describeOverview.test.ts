import type { ConsoleAttention } from '@roundsman/fastify/contract'
import { describe, expect, it } from 'vitest'
import { describeOverview } from '../../src/screens/overview/describeOverview.ts'

const NOW = Date.parse('2026-11-24T03:14:30Z')
const JOBS = { total: 5, scheduled: 3, paused: 0, late: 0 }

const LATE: ConsoleAttention = {
  kind: 'late',
  name: 'cleanupI18nCache',
  since: '2026-11-24T03:00:00Z',
  lateMs: 870_000,
}
const DEAD: ConsoleAttention = {
  kind: 'deadLetters',
  name: 'dispatchEmail',
  count: 1_200,
  since: '2026-11-24T02:00:00Z',
}
const FAILED: ConsoleAttention = {
  kind: 'failed',
  name: 'pruneJobRuns',
  runId: 'x',
  since: '2026-11-24T02:00:00Z',
  code: 'timeout',
  message: 'It took too long',
}

function describeThem(attention: ConsoleAttention[], jobs = JOBS) {
  return describeOverview({ attention, jobs }, NOW)
}

describe('describeOverview', () => {
  it('says that all is well', () => {
    expect(describeThem([])).toEqual({ tone: 'good', text: 'All 5 jobs on time' })
    expect(describeThem([], { ...JOBS, total: 1 }).text).toBe('The one job is on time')
    expect(describeThem([], { ...JOBS, total: 0 }).text).toBe('There are no jobs yet')
  })

  it('does not count what is paused as on time', () => {
    expect(describeThem([], { ...JOBS, paused: 1 }).text).toBe('4 of 5 jobs on time, 1 paused')
  })

  it('says how late a job is by now, and not when it was asked', () => {
    expect(describeThem([LATE])).toEqual({ tone: 'bad', text: 'cleanupI18nCache is 14 min late' })
  })

  it('lets the worst lead, in whatever order they come, and counts the others', () => {
    expect(describeThem([DEAD, LATE]).text).toBe(
      'cleanupI18nCache is 14 min late, and one other thing needs you',
    )
    expect(describeThem([DEAD, FAILED, LATE, { kind: 'noWorker', since: null }]).text).toBe(
      'No worker is running, and 3 other things need you',
    )
  })

  it('warns of what can wait', () => {
    expect(describeThem([DEAD])).toEqual({
      tone: 'warn',
      text: 'dispatchEmail has 1,200 dead letters',
    })
  })
})
