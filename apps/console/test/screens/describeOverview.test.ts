import type { ConsoleAttention, ConsoleBacklog, ConsoleFailures } from '@roundsman/admin/contract'
import { describe, expect, it } from 'vitest'
import { describeRates } from '../../src/screens/overview/Backlog.tsx'
import { describeOverview } from '../../src/screens/overview/describeOverview.ts'

const NOW = Date.parse('2026-11-24T03:14:30Z')
const JOBS = { total: 5, scheduled: 3, paused: 0, late: 0 }

const LATE: ConsoleAttention = {
  kind: 'late',
  name: 'cleanupI18nCache',
  since: '2026-11-24T03:00:00Z',
}
const DEAD: ConsoleAttention = {
  kind: 'deadLetter',
  name: 'dispatchEmail',
  count: 1_200,
  isCut: false,
  since: '2026-11-24T02:00:00Z',
  causes: [],
}
const LAST_HOUR: ConsoleFailures = {
  runs: 27,
  failed: 14,
  from: '2026-11-24T02:20:00Z',
  isCut: false,
  code: 'ECONNREFUSED',
  withCode: 12,
  lastRunId: 'x',
  lastAt: '2026-11-24T03:10:00Z',
  thrown: '',
  succeededSince: 0,
  usual: null,
}
const FAILING: ConsoleAttention = {
  kind: 'failing',
  name: 'pruneJobRuns',
  runId: 'x',
  since: '2026-11-24T02:00:00Z',
  code: 'timeout',
  thrown: '',
  latest: null,
  first: null,
  onHost: null,
  ofGroup: null,
  recent: null,
}
const BACKLOG: ConsoleAttention = {
  kind: 'backlog',
  name: 'syncOrder',
  ready: 4_200,
  isCut: false,
  oldestMs: 90_000,
  takenPerSecond: 40,
  comingPerSecond: 50,
  isEven: false,
  caughtUpInMs: null,
  isPaused: false,
  isUntaken: false,
  held: null,
  main: null,
}

function describeThem(attention: ConsoleAttention[], jobs = JOBS, backlog: ConsoleBacklog[] = []) {
  return describeOverview({ attention, jobs, backlog }, NOW)
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

  it('is not green while due work waits in paused queues, or was not started in time', () => {
    const { kind: _kind, main: _main, ...row } = BACKLOG
    expect(describeThem([], JOBS, [row]).tone).toBe('good')
    const paused = { ...row, isPaused: true }
    expect(describeThem([], JOBS, [paused])).toEqual({
      tone: 'warn',
      text: 'All 5 jobs on time, syncOrder is paused with 4,200 waiting',
    })
    expect(describeThem([], JOBS, [paused, { ...paused, name: 'b' }]).text).toBe(
      'All 5 jobs on time, work waits in 2 paused queues',
    )
    const late = {
      name: 'syncOrder',
      expired: 595,
      runs: 822,
      isCut: false,
      since: null,
      usual: null,
    }
    expect(describeThem([{ kind: 'expired', ...late }])).toEqual({
      tone: 'bad',
      text: 'syncOrder: 595 of 822 were not started in time',
    })
    const since = '2026-11-15T03:14:30Z'
    const told = { kind: 'pausedQueue' as const, name: 'syncOrder', since, by: 'max@example.com' }
    expect(describeThem([{ ...told, reason: null, waiting: 431, isCut: false }]).text).toBe(
      'syncOrder has been paused for 9 d, 431 wait',
    )
  })

  it('says how late a job is by now, and not when it was asked', () => {
    expect(describeThem([LATE])).toEqual({ tone: 'bad', text: 'cleanupI18nCache is 14 min late' })
  })

  it('lets the worst lead, in whatever order they come, and counts the others', () => {
    expect(describeThem([DEAD, LATE]).text).toBe(
      'cleanupI18nCache is 14 min late, and one other thing needs you',
    )
    expect(describeThem([DEAD, FAILING, LATE, { kind: 'noWorker', lastSignAt: null }]).text).toBe(
      'No worker is running, and 3 other things need you',
    )
  })

  it('says how many fail, and of a single one that it was the last', () => {
    expect(describeThem([{ ...FAILING, recent: LAST_HOUR }])).toEqual({
      tone: 'bad',
      text: 'pruneJobRuns: 14 of 27 failed in 1 h',
    })
    expect(describeThem([FAILING]).text).toBe('The last run of pruneJobRuns failed')
    const one = { ...LAST_HOUR, runs: 1, failed: 1 }
    expect(describeThem([{ ...FAILING, recent: one }]).text).toBe(
      'The last run of pruneJobRuns failed',
    )
  })

  it('says in how much time so many failed where they are too many to be counted', () => {
    const recent = {
      ...LAST_HOUR,
      runs: 5_000,
      failed: 2_611,
      isCut: true,
      from: '2026-11-24T03:10:00Z',
    }
    expect(describeThem([{ ...FAILING, recent }]).text).toBe(
      'pruneJobRuns: 2,611 of 5,000 failed in 4 min',
    )
  })

  it('tells in one unit what is taken and what is coming', () => {
    expect(describeRates({ takenPerSecond: 0.08, comingPerSecond: 1.2 })).toBe(
      '4.8 a minute taken, 72 a minute coming',
    )
    expect(describeRates({ takenPerSecond: 0.015, comingPerSecond: 0.063 })).toBe(
      '54 an hour taken, 230 an hour coming',
    )
  })

  it('says when a queue is caught up, and when never', () => {
    expect(describeThem([BACKLOG]).text).toBe(
      'syncOrder: 4,200 waiting, growing: more comes than is taken',
    )
    expect(describeThem([{ ...BACKLOG, caughtUpInMs: 7_200_000 }]).text).toBe(
      'syncOrder: 4,200 waiting, caught up in 2 h',
    )
    // A run more or less would say the contrary.
    for (const caughtUpInMs of [null, 3_600_000])
      expect(describeThem([{ ...BACKLOG, isEven: true, caughtUpInMs }]).text).toBe(
        'syncOrder: 4,200 waiting, about as much comes as is taken',
      )
    const still = { ...BACKLOG, takenPerSecond: 0, comingPerSecond: 0 }
    expect(describeThem([still]).text).toBe(
      'syncOrder: 4,200 waiting, standing still: none is taken',
    )
    expect(describeThem([{ ...still, isUntaken: true }]).text).toBe(
      'syncOrder: 4,200 waiting, no worker takes it',
    )
    const held = { slots: 4, runId: 'x', since: '2026-11-24T03:00:00Z' }
    expect(describeThem([{ ...still, held }]).text).toBe(
      'syncOrder: 4,200 waiting, all 4 slots are held',
    )
    expect(describeThem([{ ...still, held: { ...held, slots: 1 } }]).text).toBe(
      'syncOrder: 4,200 waiting, the only slot is held',
    )
  })

  it('leads with what is wrong, and mentions what has recovered where nothing is', () => {
    const {
      latest: _latest,
      first: _first,
      onHost: _onHost,
      ofGroup: _ofGroup,
      ...failing
    } = FAILING
    const recovered = { ...failing, kind: 'recovered' as const, recent: LAST_HOUR }
    expect(describeThem([recovered, DEAD]).text).toBe('dispatchEmail has 1,200 dead letters')
    expect(describeThem([recovered])).toEqual({
      tone: 'good',
      text: 'All 5 jobs on time, one has recovered',
    })
  })

  it('names the work that loses workers, before the job that fails by it', () => {
    const since = '2026-11-24T03:13:30Z'
    const poison = {
      name: 'renderPoster',
      workId: 'w',
      runId: 'x',
      nextAt: null,
      since,
      losses: 5,
      isCut: false,
      inWeek: null,
      first: null,
    }
    expect(describeThem([FAILING, { kind: 'poison', ...poison, label: 'Poster 905' }])).toEqual({
      tone: 'bad',
      text: 'Poster 905 of renderPoster has lost 5 workers, and one other thing needs you',
    })
  })

  it('warns of jobs that succeed and are not as they were', () => {
    const name = 'archiveCarts'
    const at = '2026-11-24T02:14:30Z'
    const first = { runId: 'x', at, version: null, runsBefore: null }
    expect(
      describeThem([{ kind: 'idle', name, runs: 14, isCut: false, usual: 100, first }]),
    ).toEqual({
      tone: 'warn',
      text: 'archiveCarts has done nothing for 1 h',
    })
    expect(
      describeThem([{ kind: 'slower', name, runs: 12, p50Ms: 2_000, usualMs: 75, first: null }])
        .text,
    ).toBe('archiveCarts takes 2 s, usually 75 ms')
    const change = '0 8 * * * in UTC, before: 0 7 * * * in UTC'
    expect(
      describeThem([{ kind: 'rescheduled', name, since: at, by: 'version 2', change }]).text,
    ).toBe('archiveCarts has another schedule')
  })

  it('names the key that is held, and says that few connections are left', () => {
    const key = {
      uniqueKey: 'invoice 42',
      until: '2028-01-31T12:00:00Z',
      since: '2026-11-24T03:10:00Z',
    }
    const of = {
      name: 'renderPdf',
      workId: 'x',
      label: null,
      isPostponed: false,
      by: null,
      count: 1,
    }
    expect(describeThem([{ kind: 'heldKey', ...of, ...key }])).toEqual({
      tone: 'warn',
      text: 'renderPdf: the unique key invoice 42 is held until 2028-01-31',
    })
    const over = { kind: 'limitExceeded', running: 12, most: 10 } as const
    const ofJob = { name: 'renderPdf', limit: null, key: 'tenant 42' }
    expect(describeThem([{ ...over, name: '', limit: 'crm', key: null }])).toEqual({
      tone: 'bad',
      text: 'The limit crm has 12 runs where 10 may be',
    })
    expect(describeThem([{ ...over, ...ofJob }]).text).toBe(
      'renderPdf, key tenant 42, has 12 runs where 10 may be',
    )
    const letter = { workId: 'x', code: 'broken', since: '2026-11-24T03:10:00Z' }
    const behind = { key: 'tenant 42', waiting: 12, isCut: false, count: 1 }
    expect(describeThem([{ kind: 'keyBlocked', name: 'renderPdf', ...letter, ...behind }])).toEqual(
      { tone: 'warn', text: 'renderPdf: 12 wait behind a dead letter of key tenant 42' },
    )
    const problem = '97 of 100 connections of the database are used, most by roundsman (42)'
    expect(describeThem([{ kind: 'connections', used: 97, most: 100, problem }])).toEqual({
      tone: 'warn',
      text: '97 of 100 connections of the database are used',
    })
  })

  it('names the host whose clock is ahead', () => {
    const clock = { host: 'worker-c', aheadMs: 2_220_000, lastAt: '2026-11-24T03:10:00Z' }
    expect(describeThem([{ kind: 'clock', ...clock }])).toEqual({
      tone: 'warn',
      text: 'The clock of worker-c is 37 min ahead',
    })
    expect(describeThem([{ kind: 'clock', ...clock, aheadMs: -120_000 }]).text).toBe(
      'The clock of worker-c is 2 min behind',
    )
  })

  it('warns of what can wait', () => {
    expect(describeThem([DEAD])).toEqual({
      tone: 'warn',
      text: 'dispatchEmail has 1,200 dead letters',
    })
  })
})
