import { expect, it, onTestFinished, vi } from 'vitest'
import type { QueueStats } from '../../src/client.ts'
import { watchQueue } from '../../src/metrics.ts'
import { openTarget } from './openTarget.ts'

const ROWS: QueueStats[] = [
  { name: 'letter', state: 'ready', count: 3, oldestSeconds: 12.5 },
  { name: 'letter', state: 'delayed', count: 2, oldestSeconds: null },
  { name: 'letter', state: 'active', count: 0, oldestSeconds: null },
  { name: 'letter', state: 'deadLetter', count: 1, oldestSeconds: 86_400 },
]

function open(measure: () => Promise<QueueStats[]>, options = {}) {
  const metrics = openTarget()
  watchQueue({ ...metrics.target, measure, ...options })
  return async () =>
    (await metrics.render()).split('\n').filter((line) => line.startsWith('roundsman_queue'))
}

it('says how much there is of each job in each state, and how old the oldest is', async () => {
  const lines = await open(async () => ROWS)()
  expect(lines).toEqual([
    'roundsman_queue_measure_failures_total 0',
    'roundsman_queue_depth{job_name="letter",state="ready"} 3',
    'roundsman_queue_depth{job_name="letter",state="delayed"} 2',
    'roundsman_queue_depth{job_name="letter",state="active"} 0',
    'roundsman_queue_depth{job_name="letter",state="dead_letter"} 1',
    'roundsman_queue_oldest_age_seconds{job_name="letter",state="ready"} 12.5',
    'roundsman_queue_oldest_age_seconds{job_name="letter",state="active"} 0',
    'roundsman_queue_oldest_age_seconds{job_name="letter",state="dead_letter"} 86400',
  ])
})

it('asks once for many scrapes at once and within a while', async () => {
  let asked = 0
  const scrape = open(async () => {
    asked++
    return ROWS
  })
  await Promise.all(Array.from({ length: 20 }, scrape))
  await scrape()
  expect(asked).toBe(1)
})

it('has no numbers, and all the rest, when the database fails', async () => {
  const scrape = open(() => Promise.reject(new Error('away')))
  await scrape()
  expect(await scrape()).toEqual([
    expect.stringMatching(/^roundsman_queue_measure_failures_total [1-4]$/),
  ])
})

it('does not wait for a database that hangs, nor ask it again meanwhile, and forgets what it said', async () => {
  let asked = 0
  const measure = () => {
    asked++
    return asked === 1 ? Promise.resolve(ROWS) : new Promise<never>(() => undefined)
  }
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const scrape = open(measure, { maxAgeMs: 5_000, timeoutMs: 10 })
  expect(await scrape()).toContain('roundsman_queue_depth{job_name="letter",state="ready"} 3')
  vi.advanceTimersByTime(5_001)
  const lines = await scrape()
  expect(lines.filter((line) => !line.includes('failures'))).toEqual([])
  expect((await scrape())[0]).toMatch(/failures_total [1-4]$/)
  expect(asked).toBe(2)
})
