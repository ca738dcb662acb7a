import { queryRows, type Transaction } from './transaction.ts'
import type { Density } from './chooseOrder.ts'
import type { SweepOrder } from './sweepOrder.ts'
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
  /** How many rows are due in all; null where nobody has counted them to the end. */
  due: number | null
  signal: AbortSignal
}

/** How far it looks ahead at most: so many pages are read in a few milliseconds. */
const MAX_PAGES = 1_000
/** The next pages may hold this many times what was expected of them before a batch gets too long. */
const MAX_SURPRISE = 4

/**
 * The table, or a part of it, from the first page to the last, in ranges of whole pages. Each page is read and written once,
 * which is several times faster than in the order of an index where much is due.
 */
export function pageOrder(options: PageOrderOptions): SweepOrder {
  const { target, pages, density, signal } = options
  let start = options.first
  let end = options.stop
  let isExtended = end < pages
  let lastPages = 1
  const isEven = density.densest <= density.mean * MAX_SURPRISE
  /** Due rows to a page, in the last range. */
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
        lastPages = stop - first
        return { kind: 'rows', where: sql`${pageRange(first, stop)} and ${target.due}` }
      }
      return { kind: 'end' }
    },
    changed(rows) {
      changedRows += rows
      lastDensity = rows / lastPages
    },
    isOver: () => false,
  }

  /**
   * Where so many rows were changed as were due, and no more follow at once, there is no use in reading on.
   * What has come since the count is due in the next run.
   */
  function isAllFound(): boolean {
    const { due } = options
    return due !== null && changedRows >= due && expectedDensity() === null
  }

  /** What moves or comes while the sweep goes on is mostly put at the end: once more, as far as that is by then. */
  async function hasMore(tx: Transaction): Promise<boolean> {
    // What comes is put into the last page first.
    if (isAllFound()) start = Math.max(start, end - 1)
    if (start < end) return true
    if (isExtended) return false
    isExtended = true
    end = await countPages(tx, target.table)
    return start < end
  }

  /**
   * Null where little lay and much may follow: a step that is right for the one would be a batch of many times
   * the rows in the other, so the rows are counted first.
   */
  function expectedDensity(): number | null {
    if (lastDensity * MAX_SURPRISE >= density.full) return lastDensity
    if (isEven && lastDensity * MAX_SURPRISE >= density.mean) {
      return Math.max(lastDensity, density.mean)
    }
    return null
  }

  /** Up to which page about so many due rows lie. */
  async function lookAhead(
    tx: Transaction,
    rows: number,
  ): Promise<{ stop: number; isEmpty: boolean }> {
    const expected = expectedDensity()
    if (expected !== null) {
      const stop = start + Math.max(1, Math.floor(rows / expected))
      return { stop: Math.min(stop, end), isEmpty: false }
    }
    const ceiling = Math.min(start + MAX_PAGES, end)
    const [ahead] = await queryRows<{ found: number; page: number | null }>(
      tx,
      sql`
      select count(*)::int as "found", (max(ctid)::text::point)[0] as "page"
      from (
        select ctid from ${quoted(target.table)}
        where ${pageRange(start, ceiling)} and ${target.due}
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

/** How many pages a table has now. Asks its file; reads none. */
async function countPages(tx: Transaction, table: string): Promise<number> {
  const [size] = await queryRows<{ pages: number }>(
    tx,
    sql`
    select (pg_relation_size(format('%I', ${table}::text)::regclass)
      / current_setting('block_size')::int)::float8 as "pages"`,
  )
  return size?.pages ?? 0
}
