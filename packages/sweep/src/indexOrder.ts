import { queryRows, type Transaction } from './transaction.ts'
import { isDue, type SweepOrder } from './sweepOrder.ts'
import type { DueFinder, SweepTarget } from './sweepTarget.ts'
import { empty, quoted, raw, sql, type Sql } from './sql.ts'

/** Maximum of row positions in memory at once: some megabytes. */
const MAX_LISTED = 50_000

/**
 * Lists due rows with the indexes, 50,000 at a time, and changes them page by page, so that no batch reads the dead index
 * entries of earlier ones. A row that moves after it was listed is due again in the next run.
 */
export function indexOrder(target: SweepTarget): SweepOrder {
  const searches: Search[] = target.finders.map((finder) => ({ finder, after: null }))
  let listed: string[] = []
  let taken: string[] = []

  return {
    async next(tx, rows) {
      if (listed.length === 0) listed = await list(tx)
      if (listed.length === 0) return null
      taken = listed.splice(0, rows)
      const places = `{${taken.join(',')}}`
      // Checks again that the row is due: another row may be at the position of a deleted one.
      return sql`ctid = any(${places}::text::tid[]) and ${isDue(target)}`
    },
    changed(_rows, isCut) {
      if (isCut) listed.push(...taken)
    },
  }

  async function list(tx: Transaction): Promise<string[]> {
    const places: string[] = []
    while (searches[0] !== undefined && places.length < MAX_LISTED) {
      const room = MAX_LISTED - places.length
      const found = await find(tx, target.table, searches[0], room)
      places.push(...found.places)
      if (found.places.length < room) searches.shift()
      else searches[0].after = found.last
    }
    return places
  }
}

interface Search {
  finder: DueFinder
  /** The start of the next list. */
  after: Position | null
}

interface Position {
  key: string
  place: string
}

async function find(
  tx: Transaction,
  table: string,
  { finder, after }: Search,
  limit: number,
): Promise<{ places: string[]; last: Position | null }> {
  const [found] = await queryRows<{ places: string; key: string; place: string }>(
    tx,
    findQuery(table, finder, limit, after),
  )
  if (!found) return { places: [], last: null }
  return { places: found.places.split(';'), last: { key: found.key, place: found.place } }
}

/** The query that lists rows. Exported so that a check can ask for its plan. */
export function findQuery(
  table: string,
  { where, key, keyType }: DueFinder,
  limit: number,
  after: Position | null = null,
): Sql {
  const column = quoted(key)
  const isAfter = after
    ? sql`and (${column}, ctid) > (${after.key}::text::${raw(keyType)}, ${after.place}::text::tid)`
    : empty
  // The answer is one text, in the form in which it is sent back: the driver reads thousands of rows more slowly than
  // PostgreSQL finds them.
  return sql`
    with due as materialized (
      select ctid as place, ${column} as key from ${quoted(table)}
      where ${where} ${isAfter}
      order by ${column}, ctid limit ${limit}
    )
    select (select string_agg('"' || place || '"', ';' order by place) from due) as "places",
           last.key::text as "key", last.place::text as "place"
    from (select key, place from due order by key desc, place desc limit 1) last`
}
