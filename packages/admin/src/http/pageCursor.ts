import { z } from 'zod'

/** The last item of a page. Instants are not unique; together with the id they are. */
export interface PageCursor {
  /** ISO 8601 with milliseconds, or as PostgreSQL writes it, in UTC. */
  at: string
  id: string
}

type ParsedCursor = Pick<PageCursor, 'at'> & Partial<PageCursor>

/** PostgreSQL knows no year 0. */
const CURSOR =
  /^((?!0000)(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)\.\d{3}Z| (\d\d:\d\d:\d\d)(?:\.\d{1,6})?\+00))(?:\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}))?$/

/** The `nextCursor` of the page before, by which a query names the page that it wants. */
export const pageCursor = cursorSchema(({ at, id }) => (id === undefined ? undefined : { at, id }))

/** Like pageCursor, for lists whose instants are unique. */
export const instantCursor = cursorSchema(({ at, id }) => (id === undefined ? at : undefined))

/** For lists in the order of a text, such as a key: the last of the page before. */
export const textCursor = z
  .string()
  .max(2_000)
  .transform((cursor, context) => {
    const text = Buffer.from(cursor, 'base64url').toString()
    if (toTextCursor(text) === cursor && !text.includes('\0')) return text
    context.addIssue('must be the nextCursor of an earlier answer')
    return z.NEVER
  })
  .optional()
  .describe('The nextCursor of the page before')

export function toTextCursor(text: string): string {
  return Buffer.from(text).toString('base64url')
}

export const nextPageCursor = z
  .string()
  .nullable()
  .describe('Pass it as cursor to get the next page; null on the last page')

/** The `nextCursor` of a page that ends with this item. */
export function formatCursor({ at, id }: ParsedCursor): string {
  return Buffer.from(id === undefined ? at : `${at}/${id}`).toString('base64url')
}

function cursorSchema<Cursor>(take: (parsed: ParsedCursor) => Cursor | undefined) {
  return z
    .string()
    .max(200)
    .transform((text, context) => {
      const parsed = parse(text)
      const cursor = parsed && take(parsed)
      if (cursor !== undefined) return cursor
      context.addIssue('must be the nextCursor of an earlier answer')
      return z.NEVER
    })
    .optional()
    .describe('The nextCursor of the page before')
}

/** Undefined when the text is not one of our cursors. */
function parse(text: string): ParsedCursor | undefined {
  const match = CURSOR.exec(Buffer.from(text, 'base64url').toString('latin1'))
  if (!match) return undefined
  const [, at = '', day = '', isoTime, time = isoTime, id] = match
  // JavaScript turns a date that does not exist, such as the 30th of February, into another one.
  const instant = new Date(`${day}T${time}Z`)
  if (Number.isNaN(instant.getTime()) || !instant.toISOString().startsWith(`${day}T${time}`)) {
    return undefined
  }
  const cursor = { at, ...(id !== undefined && { id }) }
  // Decoding base64 ignores what it does not know. One cursor must have one spelling.
  return formatCursor(cursor) === text ? cursor : undefined
}
