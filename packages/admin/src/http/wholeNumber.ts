import { z } from 'zod'

/**
 * A whole number in a query, where everything is text. Digits only: Number() would also take '', ' 5', '0x10' and '1e2'.
 */
export function wholeNumber(min: number, max: number) {
  const rule = `has to be a whole number from ${min} to ${max}`
  const digits = new RegExp(`^\\d{1,${Math.max(9, String(max).length)}}$`)
  return z.preprocess(
    (text) => (typeof text === 'string' && digits.test(text) ? Number(text) : text),
    z.int(rule).min(min, rule).max(max, rule),
  )
}
