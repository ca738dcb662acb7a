import { queryRows, type Transaction } from './transaction.ts'
import type { Density } from './chooseOrder.ts'
import { isDue, type SweepOrder } from './sweepOrder.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { quoted, sql, type Sql } from './sql.ts'

export interface PageOrderOptions {
  target: SweepTarget
  /** The first page, and the one after the last. */
  first: number
  stop: number
  /** The size of the table. */
  pages: number
  density: Density
  /** How many rows are due in all, or null when they were not all counted. */
  due: number | null
  signal: AbortSignal
}

/** How many pages it looks ahead at most. They are read in a few milliseconds. */
const MAX_PAGES = 1_000
/** By which part a batch may be larger when it is the last. */
const MAX_SURPLUS = 0.1
/** How many times more due rows than expected the next pages may hold before a batch takes too long. */
const MAX_SURPRISE = 4

/**
 * Goes through the table, or a part of it, in ranges of whole pages. Each page is read and written once, which is several
 * times faster than the order of an index when much is due.
 */
export function pageOrder(options: PageOrderOptions): SweepOrder {
  const { target, pages, density, signal } = options
  let start = options.first
  let end = options.stop
  let isExtended = end < pages
  let lastStart = start
  let lastPages = 1
  let isAgain = false
  const isEven = density.densest <= density.mean * MAX_SURPRISE
  /** Due rows in a page of the last range. */
  let lastDensity = isEven ? density.mean : 0
  let changedRows = 0

  return {
    async next(tx, rows) {
      while (await hasMore(tx)) {
        signal.throwIfAborted()
        const first = start
        const { stop, isEmpty } = await lookAhead(tx, rows)
        start = stop
        if (isEmpty) continue
        lastStart = first
        lastPages = stop - first
        return { kind: 'rows', where: sql`${pageRange(first, stop)} and ${isDue(target)}` }
      }
      return { kind: 'end' }
    },
    changed(rows, isCut = false) {
      changedRows += rows
      if (isCut) start = lastStart
      // How many of its pages a cut one has come through is not known.
      else if (!isAgain) lastDensity = rows / lastPages
      isAgain = isCut
    },
    isOver: () => false,
  }

  /**
   * Stops reading once as many rows were changed as were due and no more follow directly. Rows that came since the count
   * are due in the next run.
   */
  function isAllFound(): boolean {
    const { due } = options
    return due !== null && changedRows >= due && expectedDensity() === null
  }

  /** Reads the table's end once more: rows that move or come during the sweep are mostly put there. */
  async function hasMore(tx: Transaction): Promise<boolean> {
    // PostgreSQL puts new rows into the last page first.
    if (isAllFound()) start = Math.max(start, end - 1)
    if (start < end) return true
    if (isExtended) return false
    isExtended = true
    end = await countPages(tx, target.table)
    return start < end
  }

  /**
   * How many due rows a page is expected to have, or null when the last range had few and the next may have many: the same
   * number of pages would make a batch many times too large. The rows are then counted first.
   */
  function expectedDensity(): number | null {
    if (lastDensity * MAX_SURPRISE >= density.full) return lastDensity
    if (isEven && lastDensity * MAX_SURPRISE >= density.mean) {
      return Math.max(lastDensity, density.mean)
    }
    return null
  }

  /** Returns the page before which about `rows` due rows lie. */
  async function lookAhead(
    tx: Transaction,
    rows: number,
  ): Promise<{ stop: number; isEmpty: boolean }> {
    const expected = expectedDensity()
    if (expected !== null) {
      const count = Math.max(1, Math.floor(rows / expected))
      // A few pages more are no reason for another batch.
      const isLast = start + count * (1 + MAX_SURPLUS) >= end
      return { stop: isLast ? end : start + count, isEmpty: false }
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
