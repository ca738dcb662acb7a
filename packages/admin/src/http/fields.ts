import { z } from 'zod'

/* What the fields of requests are made of. */

/** Text that PostgreSQL can hold, within JSON too: no NUL, and no half of a surrogate pair. */
export function storableText({ min = 1, max }: { min?: number; max: number }) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine(
      (text) => !text.includes('\0') && text.isWellFormed(),
      'contains a NUL character or half of a surrogate pair',
    )
}

/** Text of one line that is not blank, without control characters: a line break would end a message's header. */
export function storableLine({ max }: { max: number }) {
  return storableText({ max })
    .refine((text) => text === '' || text.trim() !== '', 'is blank')
    .refine(isOneLine, 'contains a line break or another control character')
}

function isOneLine(text: string): boolean {
  // Removed here, since storableText reports it.
  return !/[\p{Cc}\u2028\u2029]/u.test(text.replaceAll('\0', ''))
}

const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z')
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** An instant in a request: ISO 8601 with an offset. Without an offset its meaning would depend on the reader. */
export const instant = z.iso
  .datetime({
    offset: true,
    error: 'has to be a date and time with an offset, such as 2026-11-24T09:00:00Z',
  })
  .transform((text, context) => {
    const date = new Date(text)
    const ms = date.getTime()
    // Its offset may move it into year 0 or 10000, for which PostgreSQL and JSON have different formats.
    if (ms >= EARLIEST_MS && ms <= LATEST_MS) return date
    context.addIssue('has to be within the years 1 to 9999')
    return z.NEVER
  })

/** A whole number in a query, which has only texts. Digits only: Number() would also accept '', ' 5', '0x10' and '1e2'. */
export function wholeNumber(min: number, max: number) {
  const rule = `has to be a whole number from ${min} to ${max}`
  const digits = new RegExp(`^\\d{1,${Math.max(9, String(max).length)}}$`)
  return z.preprocess(
    (text) => (typeof text === 'string' && digits.test(text) ? Number(text) : text),
    z.int(rule).min(min, rule).max(max, rule),
  )
}

/** Maximum items of a page, in a query. */
export function pageLimit(defaultLimit: number) {
  return wholeNumber(1, 200)
    .default(defaultLimit)
    .describe(`The most items to return; ${defaultLimit} by default`)
}
