import { queryRows, type Transaction } from './transaction.ts'
import type { FirstLook } from './firstLook.ts'
import { isDue, type SweepOrder } from './sweepOrder.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { quoted, sql, type Sql } from './sql.ts'

/** How many pages it looks ahead at most. They are read in a few milliseconds. */
const MAX_PAGES = 2_000
/** How many times more due rows than in the last pages the next may hold before a batch takes too long. */
const MAX_SURPRISE = 4

/**
 * Goes through the table in ranges of whole pages. Each page is written once, which is several times faster than the order of an
 * index when much is due.
 */
export function pageOrder(
  target: SweepTarget,
  { pages, rowsPerPage }: Pick<FirstLook, 'pages' | 'rowsPerPage'>,
  signal: AbortSignal,
): SweepOrder {
  let start = 0
  let end = pages
  let lastStart = 0
  let isExtended = false
  /** Due rows in a page of the last range; 0 where that is not known. */
  let density = 0

  return {
    async next(tx, rows) {
      while (await hasMore(tx)) {
        signal.throwIfAborted()
        const first = start
        const { stop, isEmpty } = await lookAhead(tx, rows)
        start = stop
        if (isEmpty) continue
        lastStart = first
        return sql`${pageRange(first, stop)} and ${isDue(target)}`
      }
      return null
    },
    changed(rows, isCut) {
      density = isCut ? 0 : rows / (start - lastStart)
      if (isCut) start = lastStart
    },
  }

  /** Reads the table's end once more: rows that move or come during the sweep are mostly put there. */
  async function hasMore(tx: Transaction): Promise<boolean> {
    if (start < end) return true
    if (isExtended) return false
    isExtended = true
    density = 0
    // PostgreSQL puts new rows into the last page first.
    start = Math.max(0, end - 1)
    end = await countPages(tx, target.table)
    return start < end
  }

  /** Returns the page before which about `rows` due rows lie. It counts them, unless the last pages were so full that it knows. */
  async function lookAhead(
    tx: Transaction,
    rows: number,
  ): Promise<{ stop: number; isEmpty: boolean }> {
    if (rowsPerPage !== null && density * MAX_SURPRISE >= rowsPerPage)
      return {
        stop: Math.min(end, start + Math.max(1, Math.floor(rows / density))),
        isEmpty: false,
      }
    const ceiling = Math.min(start + MAX_PAGES, end)
    const [ahead] = await queryRows<{ found: number; page: number | null }>(
      tx,
      sql`
      select count(*)::int as "found", (max(ctid)::text::point)[0] as "page"
      from (
        select ctid from ${quoted(target.table)}
        where ${pageRange(start, ceiling)} and ${isDue(target)}
        limit ${rows + 1}
      ) due`,
    )
    const { found, page } = ahead ?? { found: 0, page: null }
    if (page === null || found <= rows) return { stop: ceiling, isEmpty: found === 0 }
    return { stop: Math.max(page, start + 1), isEmpty: false }
  }
}

function pageRange(start: number, stop: number): Sql {
  return sql`ctid >= ${`(${start},0)`}::text::tid and ctid < ${`(${stop},0)`}::text::tid`
}

/** Returns how many pages the table has now. It asks for the file's size and reads no page. */
async function countPages(tx: Transaction, table: string): Promise<number> {
  const [size] = await queryRows<{ pages: number }>(
    tx,
    sql`
    select (pg_relation_size(format('%I', ${table}::text)::regclass)
      / current_setting('block_size')::int)::float8 as "pages"`,
  )
  return size?.pages ?? 0
}
