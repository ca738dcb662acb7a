import { z } from 'zod'

const MAX_UNITS = 1_000_000
const RULE = `has to be a number above 0 and up to ${MAX_UNITS}, with at most 3 decimals`

/**
 * A quantity in a request: "1.5" or 1.5. It becomes thousandths by its digits, because JavaScript's fractions are not
 * always the number that was written.
 */
export const quantity = z
  .union([z.string(), z.number()], { error: RULE })
  .transform((value, context) => {
    const [, units = '', decimals = ''] =
      /^(0|[1-9]\d{0,6})(?:\.(\d{1,3}))?$/.exec(String(value)) ?? []
    const milli = Number(units) * 1_000 + Number(decimals.padEnd(3, '0'))
    if (milli > 0 && milli <= MAX_UNITS * 1_000) return milli
    context.addIssue(RULE)
    return z.NEVER
  })
  .describe('Such as "1.5", with at most 3 decimals; also as a number')

/** Writes thousandths as a decimal without trailing zeros: 1500 as "1.5". */
export function formatQuantity(milli: number): string {
  const decimals = String(milli % 1_000)
    .padStart(3, '0')
    .replace(/0+$/, '')
  const units = String(Math.trunc(milli / 1_000))
  return decimals === '' ? units : `${units}.${decimals}`
}
