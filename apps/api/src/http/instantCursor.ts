import { pageCursor } from './pageCursor.ts'

/** The last item of a page: instants are not unique, with the id they are. */
export interface InstantCursor {
  /** ISO 8601, or as PostgreSQL writes it in UTC. */
  at: string
  id: string
}

/** PostgreSQL knows no year 0. */
const CURSOR =
  /^((?!0000)(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d{1,6})?(?:Z|\+00))\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

export const instantCursor = pageCursor(parse)

export function formatInstantCursor({ at, id }: InstantCursor): string {
  return Buffer.from(`${at}/${id}`).toString('base64url')
}

/** Undefined when the text is not one of our cursors. */
function parse(text: string): InstantCursor | undefined {
  const match = CURSOR.exec(Buffer.from(text, 'base64url').toString('latin1'))
  if (!match) return undefined
  const [, at = '', day = '', time = '', id = ''] = match
  // A date that does not exist, such as the 30th of February, is another one to JavaScript.
  const instant = new Date(`${day}T${time}Z`)
  if (Number.isNaN(instant.getTime()) || !instant.toISOString().startsWith(`${day}T${time}`)) {
    return undefined
  }
  const cursor = { at, id }
  // Decoding base64 forgives what it does not know; one cursor has one spelling.
  return formatInstantCursor(cursor) === text ? cursor : undefined
}
