import { wholeNumber } from './wholeNumber.ts'

/** How many items a page has at most, in a query. */
export function pageLimit(defaultLimit: number) {
  return wholeNumber(1, 200)
    .default(defaultLimit)
    .describe(`The most items to return; ${defaultLimit} by default`)
}
