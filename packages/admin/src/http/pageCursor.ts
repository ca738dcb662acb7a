import { z } from 'zod'

/** The last item of a page. Instants are not unique; instant and id together are. */
export interface PageCursor {
  /** ISO 8601 with milliseconds, or PostgreSQL's format, in UTC. */
  at: string
  id: string
}

type ParsedCursor = Pick<PageCursor, 'at'> & Partial<PageCursor>

/** PostgreSQL has no year 0. */
const CURSOR =
  /^((?!0000)(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)\.\d{3}Z| (\d\d:\d\d:\d\d)(?:\.\d{1,6})?\+00))(?:\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}))?$/

/** The `nextCursor` of the previous page, which selects the next one. */
export const pageCursor = cursorSchema((text) => {
  const { at, id } = parse(text)
  return at === undefined || id === undefined ? undefined : { at, id }
})

/** Like pageCursor, for lists whose instants are unique. */
export const instantCursor = cursorSchema((text) => {
  const { at, id } = parse(text)
  return id === undefined ? at : undefined
})

/** For lists in the order of a text, such as a key: the last item of the previous page. */
export const textCursor = cursorSchema((cursor) => {
  const text = Buffer.from(cursor, 'base64url').toString()
  return toTextCursor(text) === cursor && !text.includes('\0') ? text : undefined
}, 2_000)

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

function cursorSchema<Cursor>(read: (text: string) => Cursor | undefined, maxLength = 200) {
  return z
    .string()
    .max(maxLength)
    .transform((text, context) => {
      const cursor = read(text)
      if (cursor !== undefined) return cursor
      context.addIssue('must be the nextCursor of an earlier answer')
      return z.NEVER
    })
    .optional()
    .describe('The nextCursor of the page before')
}

/** Empty if the text is not one of our cursors. */
function parse(text: string): Partial<ParsedCursor> {
  const match = CURSOR.exec(Buffer.from(text, 'base64url').toString('latin1'))
  if (!match) return {}
  const [, at = '', day = '', isoTime, time = isoTime, id] = match
  // JavaScript converts a date that does not exist, such as the 30th of February, to another one.
  const instant = new Date(`${day}T${time}Z`)
  if (Number.isNaN(instant.getTime()) || !instant.toISOString().startsWith(`${day}T${time}`)) {
    return {}
  }
  const cursor = { at, ...(id !== undefined && { id }) }
  // Decoding base64 ignores unknown characters. A cursor must have exactly one spelling.
  return formatCursor(cursor) === text ? cursor : {}
}
