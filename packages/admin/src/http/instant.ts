import { z } from 'zod'

const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z')
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** An instant in a request: ISO 8601 with an offset. Without one, each reader would take it for another instant. */
export const instant = z.iso
  .datetime({
    offset: true,
    error: 'has to be a date and time with an offset, such as 2026-11-24T09:00:00Z',
  })
  .transform((text, context) => {
    const date = new Date(text)
    const ms = date.getTime()
    // Its offset may move it into year 0 or 10000, which PostgreSQL and JSON write differently.
    if (ms >= EARLIEST_MS && ms <= LATEST_MS) return date
    context.addIssue('has to be within the years 1 to 9999')
    return z.NEVER
  })
