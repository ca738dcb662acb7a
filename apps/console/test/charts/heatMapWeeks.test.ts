import { describe, expect, it } from 'vitest'
import { heatMapWeeks } from '../../src/charts/HeatMap.tsx'

const DAY = { stopped: 0, p50Ms: null, p95Ms: null }

describe('heatMapWeeks', () => {
  it('ends today, and begins on a Monday', () => {
    // A Tuesday.
    const weeks = heatMapWeeks([], Date.parse('2026-11-24T23:59:00Z'))
    expect(weeks).toHaveLength(53)
    expect(weeks[0]?.[0]?.date).toBe('2025-11-24')
    expect(weeks.at(-1)?.map(({ date }) => date)).toEqual(['2026-11-23', '2026-11-24'])
    expect(new Set(weeks.flat().map(({ date }) => date)).size).toBe(52 * 7 + 2)
  })

  it.each([
    ['2026-11-23T00:00:00Z', 1],
    ['2026-11-29T12:00:00Z', 7],
  ])('has on %s a last week of %d days', (now, days) => {
    expect(heatMapWeeks([], Date.parse(now)).at(-1)).toHaveLength(days)
  })

  it('grades days by the busiest one', () => {
    const days = [100, 60, 30, 1].map((success, index) => ({
      ...DAY,
      date: `2026-11-${20 + index}`,
      success,
      failed: 0,
    }))
    const weeks = heatMapWeeks(days, Date.parse('2026-11-24T12:00:00Z'))
    const levels = weeks
      .flat()
      .slice(-5)
      .map(({ level }) => level)
    expect(levels).toEqual([4, 3, 2, 1, 0])
  })
})
