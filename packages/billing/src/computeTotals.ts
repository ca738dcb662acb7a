/** Amounts are whole numbers of the currency's minor unit. */
export interface UnpricedLine {
  /** Thousandths of a unit. */
  quantityMilli: number
  unitPriceMinor: number
  /** Hundredths of a per cent. */
  taxRateBasisPoints: number
}

export interface TaxTotal {
  rateBasisPoints: number
  netMinor: number
  taxMinor: number
}

export interface InvoiceTotals {
  /** In the order of the lines. */
  lineNetsMinor: number[]
  /** One for each rate, the lowest first. */
  taxes: TaxTotal[]
  netMinor: number
  taxMinor: number
  grossMinor: number
}

export class AmountTooLargeError extends RangeError {
  override readonly name = 'AmountTooLargeError'
}

/**
 * Rounds each line to the minor unit, and the tax once for each rate, on the sum of its lines: so the amounts shown add up.
 * Halves are rounded away from zero, as is usual in trade.
 * @throws AmountTooLargeError when a number can't hold an amount exactly
 */
export function computeTotals(lines: readonly UnpricedLine[]): InvoiceTotals {
  const nets = lines.map(({ quantityMilli, unitPriceMinor }) =>
    divideRounding(BigInt(quantityMilli) * BigInt(unitPriceMinor), 1_000n),
  )
  const netByRate = new Map<number, bigint>()
  for (const [index, { taxRateBasisPoints }] of lines.entries()) {
    const net = nets[index] ?? 0n
    netByRate.set(taxRateBasisPoints, (netByRate.get(taxRateBasisPoints) ?? 0n) + net)
  }
  const taxes = [...netByRate]
    .toSorted(([one], [other]) => one - other)
    .map(([rateBasisPoints, net]) => ({
      rateBasisPoints,
      net,
      tax: divideRounding(net * BigInt(rateBasisPoints), 10_000n),
    }))
  const net = sum(nets)
  const tax = sum(taxes.map((each) => each.tax))
  return {
    lineNetsMinor: nets.map(exact),
    taxes: taxes.map((each) => ({
      rateBasisPoints: each.rateBasisPoints,
      netMinor: exact(each.net),
      taxMinor: exact(each.tax),
    })),
    netMinor: exact(net),
    taxMinor: exact(tax),
    grossMinor: exact(net + tax),
  }
}

/** Rounds halves away from zero. */
function divideRounding(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n
  return (dividend < 0n ? dividend - half : dividend + half) / divisor
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n)
}

function exact(value: bigint): number {
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new AmountTooLargeError('The amounts add up to more than can be counted exactly')
}
