import {
  defineJob,
  isScheduled,
  type JobOptions,
  type ScheduledJob,
  type ScheduleOptions,
} from '@roundsman/engine'
import { describe, expect, it } from 'vitest'
import { checkSchedules } from '../../src/check/checkSchedules.ts'

const cronVariable = () => 'SWEEP_FLOORS_CRON'
const NOW = new Date('2026-05-01T00:00:01Z')

function job(
  cron: string,
  { name = 'sweepFloors', ...options }: Partial<JobOptions<string, unknown>> = {},
  schedule: Partial<ScheduleOptions> = {},
): ScheduledJob {
  const defined = defineJob({
    name,
    timeoutMs: 1_000,
    retry: { limit: 0 },
    ...options,
    schedule: { cron, ...schedule },
  }) as ScheduledJob
  if (!isScheduled(defined)) throw new Error('unreachable')
  return defined
}

const found = (...jobs: ScheduledJob[]) =>
  checkSchedules(jobs, NOW, cronVariable).map(({ code }) => code)

describe('a schedule and its own policies', () => {
  it('that go together are not mentioned', () => {
    expect(found(job('0 * * * *'), job('30 3 * * *', { name: 'b' }))).toEqual([])
    expect(found(job('*/15 * * * *', { timeoutMs: 15 * 60_000 }))).toEqual([])
  })

  it.each([
    ['skip', 'are skipped'],
    ['queue', 'piles up'],
    ['allow', 'side by side'],
  ] as const)('a time-out longer than the schedule, with overlap %s', (overlap, consequence) => {
    const [finding, ...others] = checkSchedules(
      [job('*/15 * * * *', { timeoutMs: 15 * 60_000 + 1 }, { overlap })],
      NOW,
      cronVariable,
    )
    expect(others).toEqual([])
    expect(finding).toEqual({
      severity: 'warning',
      code: 'timeout_longer_than_schedule',
      job: 'sweepFloors',
      problem: expect.stringContaining(consequence),
      remedy: expect.stringContaining('SWEEP_FLOORS_CRON'),
    })
    expect(finding?.problem).toContain('as little as 15 min apart')
  })

  it('the shortest distance counts, however far the others are', () => {
    const uneven = { timeoutMs: 2 * 60_000 }

    expect(found(job('0,1 3 * * *', uneven))).toEqual(['timeout_longer_than_schedule'])
    expect(found(job('0,2 3 * * *', uneven))).toEqual([])
  })

  it('retries that last longer than the schedule, where they keep ticks away', () => {
    const retry = { limit: 4, delayMs: 60_000, maxDelayMs: 5 * 60_000 }

    // 1 + 2 + 4 + 5 minutes.
    expect(found(job('*/12 * * * *', { retry }))).toEqual([])
    expect(found(job('*/10 * * * *', { retry }))).toEqual(['retries_longer_than_schedule'])
    expect(found(job('*/10 * * * *', { retry }, { overlap: 'queue' }))).toEqual([])
  })

  it('a catch-up window shorter than the schedule', () => {
    expect(found(job('0 3 * * 1'))).toEqual(['catch_up_shorter_than_schedule'])
    expect(found(job('0 3 * * 1', {}, { catchUpMs: 7 * 86_400_000 }))).toEqual([])
    expect(found(job('0 3 * * 1', {}, { missed: 'skip' }))).toEqual([])
    expect(found(job('0 3 29 2 *'))).toEqual(['catch_up_shorter_than_schedule'])
  })
})

describe('schedules that meet', () => {
  it('are a note, with how often and when first', () => {
    const jobs = [
      job('0 3 * * *', { name: 'wakeNeighbours' }),
      job('0 */3 * * *', { name: 'sweepFloors' }),
      job('30 * * * *', { name: 'other' }),
    ]
    expect(checkSchedules(jobs, NOW, cronVariable)).toEqual([
      {
        severity: 'note',
        code: 'schedules_collide',
        job: 'sweepFloors',
        problem:
          'it is due at the same instant as wakeNeighbours, 31 times in the next 31 days, first at 2026-05-01T03:00:00.000Z',
        remedy: expect.stringContaining('SWEEP_FLOORS_CRON'),
      },
    ])
  })

  it('are listed by the jobs that meet, the most frequent first', () => {
    const jobs = [
      job('0 3 * * *', { name: 'c' }),
      job('0 */12 * * *', { name: 'b' }),
      job('0 */3 * * *', { name: 'a' }),
    ]
    const problems = checkSchedules(jobs, NOW, cronVariable).map(({ problem }) => problem)
    expect(problems).toEqual([
      expect.stringMatching(/as b, 62 times/),
      expect.stringMatching(/as c, 31 times/),
    ])
    const three = [...jobs, job('0 3 1 5 *', { name: 'd' })]
    expect(checkSchedules(three, NOW, cronVariable).at(-1)?.problem).toMatch(/as c and d, 1 times/)
  })

  it('are no note where one is due each minute, which no other minute would avoid', () => {
    const often = job('* * * * *', { name: 'often' })
    expect(found(often, job('30 3 * * *', { name: 'b' }))).toEqual([])
    const meeting = [job('30-35 * * * *', { name: 'a' }), job('30 3 * * *', { name: 'b' })]
    expect(found(often, ...meeting)).toEqual(['schedules_collide'])
  })
})
