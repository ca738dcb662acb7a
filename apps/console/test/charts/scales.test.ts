import { describe, expect, it } from 'vitest'
import { niceMax, partHeights, roomForLabels, timeScale } from '../../src/charts/scales.ts'

const labels = ({ ticks }: { ticks: readonly { label: string }[] }) =>
  ticks.map(({ label }) => label)

it.each([
  [[], 1],
  [[0.2], 1],
  [[3], 4],
  [[41, 7], 50],
  [[9], 10],
  [[3_299], 4_000],
  [[110], 120],
  [[205, 1], 240],
])('the axis for %j ends at %d', (values, max) => {
  expect(niceMax(values)).toBe(max)
})

it.each([
  [[1_000, 0, 1], 100, [97, 0, 3]],
  [[1, 1_000, 1], 100, [3, 94, 3]],
  [[60, 40], 100, [60, 40]],
  [[2, 1], 3, [3, 3]],
])(
  'the parts of a bar, %j of %d, are as high together as the bar, where each can be seen',
  (values, height, heights) => {
    expect(partHeights(values, height)).toEqual(heights)
  },
)

describe('times', () => {
  const scale = (from: string, to: string, timeZone = 'UTC') =>
    timeScale(Date.parse(from), Date.parse(to), 5, timeZone)

  it.each([
    [
      '2026-11-24T09:00:00Z',
      '2026-11-24T09:00:09Z',
      ['09:00:00', '09:00:02', '09:00:04', '09:00:06', '09:00:08'],
    ],
    ['2026-11-24T09:07:00Z', '2026-11-24T10:07:00Z', ['09:15', '09:30', '09:45', '10:00']],
    ['2026-11-23T11:00:00Z', '2026-11-24T10:00:00Z', ['12:00', '18:00', '24 Nov', '06:00']],
    ['2026-10-01T00:00:00Z', '2026-11-24T00:00:00Z', ['8 Oct', '22 Oct', '5 Nov', '19 Nov']],
  ])('from %s to %s are told by %j', (from, to, expected) => {
    expect(labels(scale(from, to))).toEqual(expected)
  })

  it('are round on the wall clock of the zone', () => {
    const { ticks } = scale('2026-11-24T09:00:00Z', '2026-11-24T19:00:00Z', 'Asia/Kolkata')
    expect(ticks.map(({ label }) => label)).toEqual(['16:00', '18:00', '20:00', '22:00', '00:00'])
    expect(ticks[0]?.at).toBeCloseTo(0.15)
  })

  it('have no two labels that are the same', () => {
    const starts = ['2026-11-24T09:00:00.200Z', '2026-11-24T23:59:59Z', '2026-03-29T00:59:00Z']
    const spans = [300, 5_000, 70_000, 3_600_000, 9 * 3_600_000, 3 * 86_400_000, 300 * 86_400_000]
    for (const start of starts) {
      for (const span of spans) {
        const found = labels(
          timeScale(Date.parse(start), Date.parse(start) + span, 5, 'Europe/Berlin'),
        )
        expect(new Set(found).size).toBe(found.length)
        expect(found.length).toBeLessThanOrEqual(6)
      }
    }
  })
})

describe('labels', () => {
  const across = (count: number, label: string) =>
    Array.from({ length: count }, (_, index) => ({ at: index / (count - 1), label }))

  it('stay where there is room for all of them', () => {
    expect(roomForLabels(across(4, '09:00'))).toEqual(Array(4).fill('always'))
    expect(roomForLabels([])).toEqual([])
  })

  it('go one by one where they would touch, in a narrow chart more of them, and stay even', () => {
    const always = 'always'
    const spare = 'isSpare'
    expect(roomForLabels(across(6, '09:00:00'))).toEqual([
      always,
      spare,
      always,
      spare,
      always,
      spare,
    ])
    expect(roomForLabels(across(12, '09:00')).filter((room) => room !== 'never').length).toBe(6)
  })
})
