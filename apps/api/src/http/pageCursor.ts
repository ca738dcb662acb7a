import { z } from 'zod'

/**
 * How a query names the page that it wants: by the `nextCursor` of the page before. `parse` gives undefined for
 * what is none.
 */
export function pageCursor<Cursor>(parse: (text: string) => Cursor | undefined) {
  return z
    .string()
    .max(200)
    .transform((text, context) => {
      const cursor = parse(text)
      if (cursor !== undefined) return cursor
      context.addIssue('is not a nextCursor of an earlier answer')
      return z.NEVER
    })
    .optional()
    .describe('nextCursor of the page before')
}

export const nextPageCursor = z
  .string()
  .nullable()
  .describe('For the next page; null when there is none')
