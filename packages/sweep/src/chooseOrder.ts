import { queryRows, type Transaction } from './transaction.ts'
import type { FirstLook } from './firstLook.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { quoted, sql } from './sql.ts'

export type ChosenOrder =
  | { kind: 'index' }
  | {
      kind: 'pages'
      /** The range to read, without `stop`: the whole table, or the part in which the index says that all due rows lie. */
      first: number
      stop: number
      /** The size of the table. */
      pages: number
      density: Density
    }

/** How full the pages are that were looked at. */
export interface Density {
  /** Rows in the fullest page. */
  full: number
  /** Due rows in a page, on average. */
  mean: number
  /** Due rows in the page that has most. */
  densest: number
}

/** A smaller table is read faster than samples of it would be taken. */
const SMALL_TABLE_PAGES = 128
const SAMPLED_PAGES = 64

// Relative costs: finding and changing a row by the index rather than in passing, stepping over a dead row in the index,
// and reading a page.
const ROW_BY_INDEX_COST = 5
const DEAD_ROW_COST = 1
const PAGE_COST = 20

/**
 * Chooses between index and whole pages. When the first look could not count all, it samples 64 pages: the planner's
 * statistics take a row's age and status as independent, and are old just when a table has grown.
 */
export async function chooseOrder(
  tx: Transaction,
  target: SweepTarget,
  look: FirstLook,
): Promise<ChosenOrder> {
  const { pages, dead } = look
  if (pages < SMALL_TABLE_PAGES) return { kind: 'index' }
  const byIndex = (due: number) => due * ROW_BY_INDEX_COST + dead * DEAD_ROW_COST
  if (look.isAll) {
    const together = pagesBetween(look)
    if (together !== null && (together.stop - together.first) * PAGE_COST < byIndex(look.due)) {
      return { kind: 'pages', pages, ...together }
    }
    if (byIndex(look.due) < pages * PAGE_COST) return { kind: 'index' }
  }
  const density = await sample(tx, target, pages)
  if (byIndex(density.mean * pages) < pages * PAGE_COST) return { kind: 'index' }
  return { kind: 'pages', first: 0, stop: pages, pages, density }
}

/**
 * Rows that were written in the index's order lie between the pages of its first and its last entry. Where that guess is
 * wrong, the sweep finds what lies elsewhere by the index at the end.
 */
function pagesBetween({ firstPage, lastPage, due, rowsPerPage }: FirstLook) {
  if (firstPage === null || lastPage === null) return null
  const first = Math.min(firstPage, lastPage)
  const stop = Math.max(firstPage, lastPage) + 1
  const mean = due / (stop - first)
  // Where at least half of the rows between are due, no page has many more. Else nobody knows how unevenly they lie, and
  // pageOrder counts the next rows.
  const densest = mean * 2 >= rowsPerPage ? rowsPerPage : Infinity
  const density = { full: rowsPerPage, mean, densest }
  return { first, stop, density }
}

/** Counts one random page from each of 64 equal parts of the table. */
async function sample(tx: Transaction, target: SweepTarget, pages: number): Promise<Density> {
  // `offset 0` keeps PostgreSQL from drawing the page anew wherever the query names it.
  const [row] = await queryRows<Density>(
    tx,
    sql`
    select max(looked.live)::float8 as "full", avg(looked.due)::float8 as "mean",
           max(looked.due)::float8 as "densest"
    from generate_series(0, ${SAMPLED_PAGES - 1}::int) part
    cross join lateral (
      select floor((part + random()) * ${pages}::float8 / ${SAMPLED_PAGES})::bigint as number offset 0
    ) page
    cross join lateral (
      select count(*) as live, count(*) filter (where ${target.due}) as due
      from ${quoted(target.table)}
      where ctid >= format('(%s,0)', page.number)::tid
        and ctid < format('(%s,0)', page.number + 1)::tid
    ) looked`,
  )
  return row ?? { full: 0, mean: 0, densest: 0 }
}
