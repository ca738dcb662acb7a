import { describe, expect, it } from 'vitest'
import { listCounters, nameEnds, ofLatest } from '../../src/screens/job/JobCharts.tsx'
import { describeRetry } from '../../src/screens/job/Policies.tsx'

describe('listCounters', () => {
  it('puts first what most runs count, and last how many batches it took', () => {
    const counted = [
      { counts: { batches: 2, imported: 609 } },
      { counts: { batches: 1, imported: 12, refused: 3 } },
      { counts: { batches: 4 } },
    ]
    expect(listCounters(counted)).toEqual(['imported', 'refused', 'batches'])
    expect(listCounters([])).toEqual([])
  })
})

describe('ofLatest', () => {
  it('says among how many runs those were looked for that counted something', () => {
    expect(ofLatest(36, 60)).toBe('36 of the last 60 runs')
    expect(ofLatest(36, 36)).toBe('the last 36 runs')
  })
})

describe('describeRetry', () => {
  it.each([
    [{ limit: 0, delayMs: 5_000, maxDelayMs: 300_000 }, 'None'],
    [{ limit: 1, delayMs: 5_000, maxDelayMs: 300_000 }, '1 retry: after 5–10 s'],
    [{ limit: 2, delayMs: 5_000, maxDelayMs: 300_000 }, '2 retries: after 5–10 s, then 10–20 s'],
    [
      { limit: 20, delayMs: 5_000, maxDelayMs: 300_000 },
      '20 retries: after 5–10 s, doubling up to 5 min',
    ],
    [{ limit: 1, delayMs: 40_000, maxDelayMs: 300_000 }, '1 retry: after 40 s–1 min 20 s'],
    [{ limit: 3, delayMs: 60_000, maxDelayMs: 60_000 }, '3 retries: after 1 min'],
    [{ limit: 1, delayMs: 100, maxDelayMs: 1_200 }, '1 retry: after 1 s'],
  ])('says of %j how long it waits', (retry, text) => {
    expect(describeRetry(retry)).toBe(text)
  })
})

describe('nameEnds', () => {
  it('tells two instants apart, to the second where they are close', () => {
    const name = (first: string, last: string) => nameEnds(first, last, 'UTC')
    expect(name('2026-11-23T09:00:00Z', '2026-11-24T09:00:00Z')).toEqual([
      'Mon 23 Nov, 09:00',
      'Tue 24 Nov, 09:00',
    ])
    const [first, last] = name('2026-11-24T09:00:01Z', '2026-11-24T09:00:59Z')
    expect(first).not.toBe(last)
  })
})
