import { describe, expect, it } from 'vitest'
import { describeEnded, runBars, seenKinds } from '../../src/charts/runBars.ts'

const NOW = Date.parse('2026-11-24T09:30:00Z')
const ended = (success: number, failed = 0, stopped = 0) => ({
  success,
  failed,
  stopped,
})

describe('runBars', () => {
  it('shows hours while there are any, those without runs as well, up to now', () => {
    const { unit, bars, counts, filled } = runBars(
      {
        cutBefore: null,
        days: [{ date: '2026-11-23', ...ended(9, 1) }],
        hours: [
          { from: '2026-11-23T08:00:00.000Z', ...ended(7) },
          { from: '2026-11-24T07:00:00.000Z', ...ended(2, 1) },
        ],
      },
      NOW,
      'UTC',
    )
    expect([unit, bars.length, filled]).toEqual(['hour', 26, 2])
    expect(counts).toMatchObject({ success: 9, failed: 1 })
    expect(bars[0]?.tip).toBe('Mon 23 Nov, 08:00\n7 ended, none failed')
    expect(bars.at(-1)?.key).toBe('2026-11-24T09:00:00.000Z')
    const labels = bars.flatMap(({ label }) => label ?? [])
    expect(labels).toEqual(['12:00', '18:00', '24 Nov', '06:00'])
  })

  it('shows days afterwards, the last sixty at most', () => {
    const days = [
      { date: '2026-01-01', ...ended(5) },
      { date: '2026-11-20', ...ended(3) },
    ]
    const { unit, bars, counts } = runBars(
      { days, hours: [], cutBefore: null },
      NOW,
      'Pacific/Auckland',
    )
    expect([unit, bars.length]).toEqual(['day', 60])
    expect(bars.at(-1)?.name).toBe('Tue 24 Nov')
    expect(counts.success).toBe(3)
  })

  it('is no wider than its bars need', () => {
    const hours = [{ from: '2026-11-24T09:00:00.000Z', ...ended(1) }]
    expect(runBars({ days: [], hours, cutBefore: null }, NOW).bars).toHaveLength(12)
    const days = [{ date: '2026-11-24', ...ended(1) }]
    expect(runBars({ days, hours: [], cutBefore: null }, NOW).bars).toHaveLength(7)
  })
})

it.each([
  [ended(527, 327), '854 ended, 327 failed (38 %)'],
  [ended(10), '10 ended, none failed'],
  [ended(9_999, 1), '10,000 ended, 1 failed (< 1 %)'],
  [ended(1, 1, 2), '4 ended, 1 failed (25 %), 2 cancelled, blocked, expired or given back'],
  [ended(3, 0, 2), '5 ended, 2 cancelled, blocked, expired or given back'],
  [ended(0), '0 ended, none failed'],
])('%j is told as %s', (counts, text) => {
  expect(describeEnded(counts)).toBe(text)
})

it('names the kinds that there are', () => {
  expect(seenKinds([ended(1), ended(0, 0, 1)]).map(({ kind }) => kind)).toEqual([
    'success',
    'stopped',
  ])
})

it('says over of runs that are more than are counted, and of no others', () => {
  const days = [{ date: '2026-11-23', ...ended(40, 10) }]
  const of = (cutBefore: string | null) => {
    const { counts, isCut } = runBars({ days, hours: [], cutBefore }, NOW)
    return describeEnded(counts, isCut)
  }
  expect(of('2026-11-23T05:00:00.000Z')).toBe('over 50 ended; of these 10 failed (20 %)')
  // Longer ago than the bars go back.
  expect(of('2026-08-23T05:00:00.000Z')).toBe('50 ended, 10 failed (20 %)')
  expect(of(null)).toBe('50 ended, 10 failed (20 %)')
})
