import { describe, expect, it } from 'vitest'
import { AmountTooLargeError, computeTotals } from '../src/index.ts'

const line = (quantityMilli: number, unitPriceMinor: number, taxRateBasisPoints = 1_900) => ({
  quantityMilli,
  unitPriceMinor,
  taxRateBasisPoints,
})

describe('computeTotals', () => {
  it('rounds each line, and the tax once for each rate', () => {
    expect(
      computeTotals([
        line(1_500, 9_999),
        line(1_000, 1_050, 700),
        line(333, 100),
        line(1_000, 1, 700),
      ]),
    ).toEqual({
      lineNetsMinor: [14_999, 1_050, 33, 1],
      taxes: [
        { rateBasisPoints: 700, netMinor: 1_051, taxMinor: 74 },
        { rateBasisPoints: 1_900, netMinor: 15_032, taxMinor: 2_856 },
      ],
      netMinor: 16_083,
      taxMinor: 2_930,
      grossMinor: 19_013,
    })
  })

  it('rounds halves away from zero, also below it', () => {
    expect(computeTotals([line(500, 1), line(500, -1)]).lineNetsMinor).toEqual([1, -1])
    expect(computeTotals([line(1_000, 250, 1_000)]).taxMinor).toBe(25)
    expect(computeTotals([line(1_000, 5, 1_000)]).taxMinor).toBe(1)
    expect(computeTotals([line(1_000, -5, 1_000)]).taxMinor).toBe(-1)
  })

  it('is exact where floating point is not', () => {
    const { netMinor } = computeTotals(Array.from({ length: 1_000 }, () => line(100, 1_001)))
    expect(netMinor).toBe(100_000)
    expect(computeTotals([line(1_000, Number.MAX_SAFE_INTEGER, 0)]).netMinor).toBe(
      Number.MAX_SAFE_INTEGER,
    )
  })

  it('adds up: net + tax = gross, and the lines to the net', () => {
    const lines = Array.from({ length: 500 }, (_, n) =>
      line((n * 7919) % 10_000, ((n * 104_729) % 100_000) - 20_000, [0, 700, 1_900][n % 3]),
    )
    const totals = computeTotals(lines)
    const add = (values: number[]) => values.reduce((total, value) => total + value, 0)
    expect(add(totals.lineNetsMinor)).toBe(totals.netMinor)
    expect(add(totals.taxes.map(({ netMinor }) => netMinor))).toBe(totals.netMinor)
    expect(add(totals.taxes.map(({ taxMinor }) => taxMinor))).toBe(totals.taxMinor)
    expect(totals.netMinor + totals.taxMinor).toBe(totals.grossMinor)
  })

  it('refuses what it could not count exactly', () => {
    expect(() => computeTotals([line(2_000, Number.MAX_SAFE_INTEGER)])).toThrow(AmountTooLargeError)
  })
})
