import { z } from 'zod'

const RULE = 'has to be a whole number from 1 to 200'

/** How many items a page has at most, as a query says it. */
export function pageLimit(defaultLimit: number) {
  return z
    .preprocess(toWholeNumber, z.int(RULE).min(1, RULE).max(200, RULE))
    .default(defaultLimit)
    .describe(`Items at most; ${defaultLimit} when left out`)
}

/** Digits only: Number() would also take '', ' 5', '0x10' and '1e2'. */
function toWholeNumber(text: unknown): unknown {
  return typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : text
}
