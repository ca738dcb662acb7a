import { queryRows, type Transaction } from './transaction.ts'
import type { FirstLook } from './firstLook.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { quoted, sql } from './sql.ts'

export type ChosenOrder =
  | { kind: 'index' }
  | {
      kind: 'pages'
      /** Which, the last not among them: all of the table, or those between which the indexes say that all lies. */
      first: number
      stop: number
      /** Of the table. */
      pages: number
      density: Density
    }

/** Of the pages that were looked at. */
export interface Density {
  /** Rows in the fullest page. */
  full: number
  /** Due rows in a page, on average. */
  mean: number
  /** Due rows in the page that has most. */
  densest: number
}

/** A table below this many pages is read so quickly that looking at samples would be the greater effort. */
const SMALL_TABLE_PAGES = 128
const SAMPLED_PAGES = 64

// What each costs in comparison: to find and change a row by the index rather than in passing, to step over
// a dead row in the index, and to read a page.
const ROW_BY_INDEX_COST = 5
const DEAD_ROW_COST = 1
const PAGE_COST = 20

/**
 * Whether little or much is due. What the first look has not counted is told by some pages all over the table,
 * whatever its size: the planner's statistics take a row's age and its status for independent of each other, and
 * are old just when a table has grown.
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
 * Where what is due has come in the order of the index, it lies between the first and the last that it lists. Where
 * it has not, that is a wrong guess, and what lies elsewhere is met by the index at the end.
 */
function pagesBetween({ firstPage, lastPage, due, rowsPerPage }: FirstLook) {
  if (firstPage === null || lastPage === null) return null
  const first = Math.min(firstPage, lastPage)
  const stop = Math.max(firstPage, lastPage) + 1
  // How unevenly it lies, nobody has looked: the next rows are counted until that is known.
  const density = { full: rowsPerPage, mean: due / (stop - first), densest: Infinity }
  return { first, stop, density }
}

/** One page from each of equal parts of the table. */
async function sample(tx: Transaction, target: SweepTarget, pages: number): Promise<Density> {
  // `offset 0` keeps the page from being drawn anew wherever it is named.
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
