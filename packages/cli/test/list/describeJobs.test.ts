import { defineJob } from '@roundsman/engine'
import { describe, expect, it } from 'vitest'
import type { Layout } from '../../src/command/layout.ts'
import { describeJobs, type DescribeJobsOptions } from '../../src/list/describeJobs.ts'
import { formatJobs } from '../../src/list/formatJobs.ts'

const NOW = new Date('2026-10-24T12:00:00Z')
const wake = defineJob({
  name: 'wakeNeighbours',
  description: 'Wakes those who live next door.',
  schedule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin', overlap: 'queue', missed: 'all' },
  retry: { limit: 1 },
})
const other = defineJob({ name: 'packParcel', description: 'Packs one.', concurrency: 3 })
const state = {
  name: 'wakeNeighbours',
  cron: '30 2 * * *',
  timeZone: 'Europe/Berlin',
  pausedAt: null,
  pausedBy: null,
  pauseReason: null,
}
const describeBoth = (options: Partial<DescribeJobsOptions> = {}) =>
  describeJobs({
    jobs: [wake, other],
    catalogue: [wake, other],
    states: [state],
    pausedQueues: new Map(),
    isEnabled: true,
    cronVariable: () => 'WAKE_NEIGHBOURS_CRON',
    now: NOW,
    ticks: 2,
    ...options,
  })

describe('describeJobs', () => {
  it('tells the next runs in the zone of the schedule and in UTC, and what the clocks do to them', () => {
    expect(describeBoth()[0]?.schedule).toMatchObject({
      words: 'at 02:30',
      variable: 'WAKE_NEIGHBOURS_CRON',
      isOverridden: false,
      recorded: null,
      next: [
        {
          at: new Date('2026-10-25T00:30:00Z'),
          local: '2026-10-25 02:30:00',
          offset: '+02:00',
          mark: 'repeatedHour',
        },
        { at: new Date('2026-10-26T01:30:00Z'), offset: '+01:00', mark: null },
      ],
    })
    expect(describeBoth({ ticks: 0 })[0]?.schedule?.next).toEqual([])
  })

  it('knows whether it is paused only from the database', () => {
    const pausedAt = NOW.toISOString()
    const states = [{ ...state, pausedAt, pausedBy: 'me@example.com', pauseReason: 'noise' }]
    const stateOf = (options: Partial<DescribeJobsOptions>) =>
      describeBoth(options).map((job) => job.state)

    expect(stateOf({})).toEqual(['enabled', 'enabled'])
    expect(stateOf({ states: [] })).toEqual(['enabled', 'enabled'])
    expect(stateOf({ states })).toEqual(['paused', 'enabled'])
    expect(stateOf({ states: null })).toEqual(['unknown', 'unknown'])
    expect(stateOf({ states, isEnabled: false })).toEqual(['disabled', 'disabled'])
    expect(describeBoth({ states })[0]?.paused).toEqual({
      at: pausedAt,
      by: 'me@example.com',
      reason: 'noise',
    })
  })

  it('is paused where its queue is, and says who paused it and why', () => {
    const pausedAt = NOW.toISOString()
    const pause = { name: 'packParcel', pausedAt, pausedBy: 'me', pauseReason: 'no boxes' }
    const both = describeBoth({ pausedQueues: new Map([[pause.name, pause]]) })

    expect(both.map((job) => [job.state, job.queuePaused?.by])).toEqual([
      ['enabled', undefined],
      ['paused', 'me'],
    ])
    const text = formatJobs(both, { width: 80, paint: (_, one) => one })
    expect(text).toContain('  queue       paused since 2026-10-24 12:00 UTC by me: no boxes')
  })

  it('says whether the environment overrides the schedule, and whether workers know it', () => {
    const jobs = [{ ...wake, schedule: { ...wake.schedule!, cron: '0 5 * * *' } }, other]

    expect(describeBoth({ jobs })[0]?.schedule).toMatchObject({
      words: 'at 05:00',
      isOverridden: true,
      recorded: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
    })
  })
})

describe('formatJobs', () => {
  const plain = (width: number): Layout => ({ width, paint: (_, text) => text })

  it('fits into 80 columns, with everything aligned', () => {
    expect(formatJobs(describeBoth(), plain(80)).split('\n')).toEqual([
      'wakeNeighbours                                                           enabled',
      '  Wakes those who live next door.',
      '  schedule    at 02:30, Europe/Berlin',
      '  cron        30 2 * * *  (override with WAKE_NEIGHBOURS_CRON)',
      '  next        2026-10-25 02:30:00 +02:00  (2026-10-25 00:30:00 UTC): this time',
      '              comes twice that day',
      '              2026-10-26 02:30:00 +01:00  (2026-10-26 01:30:00 UTC)',
      '  missed      all: one run for each of the last 1 d',
      '  overlap     queue: the tick waits for its turn',
      '  time-out    15 min',
      '  retries     1 retry: after 5 s to 10 s',
      '  at once     exclusive: one run at a time over all workers',
      '  rate limit  none',
      '  guard       none',
      '',
      'packParcel                                                               enabled',
      '  Packs one.',
      '  schedule    none: runs when enqueued',
      '  time-out    15 min',
      '  retries     2 retries: after 5 s to 10 s, then 10 s to 20 s',
      '  at once     3 in each worker',
      '  rate limit  none',
      '  guard       none',
    ])
  })

  it('says what has a process of its own', () => {
    const isolated = defineJob({ name: 'parseParcel', isolate: true })
    const text = formatJobs(describeBoth({ jobs: [isolated], catalogue: [isolated] }), plain(80))

    expect(text).toContain(
      "at once     as many as the worker's concurrency, and no more than processors",
    )
    expect(text).toContain('process     of its own, with a heap of 512 MB')
  })

  it('says who has paused it, and by what workers still go', () => {
    const pausedAt = '2026-10-23T08:15:00.000Z'
    const states = [
      { ...state, cron: '0 1 * * *', pausedAt, pausedBy: 'me@example.com', pauseReason: 'noise' },
    ]
    const text = formatJobs(describeBoth({ states }), plain(80))

    expect(text).toMatch(/^wakeNeighbours +paused$/m)
    expect(text).toContain('paused      since 2026-10-23 08:15 UTC by me@example.com: noise')
    expect(text).toContain('workers still go by 0 1 * * *, Europe/Berlin, until one restarts')
  })
})
