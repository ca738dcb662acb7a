import { queryRows, type Transaction } from './transaction.ts'
import type { DueFinder, SweepTarget } from './sweepTarget.ts'
import { empty, quoted, sql } from './sql.ts'

/** The facts that a sweep reads before it decides. */
export interface FirstLook {
  /** The database's time. */
  now: Date
  /** The size of the table in pages; 0 for a partitioned one. */
  pages: number
  /** Rows in a page at the last vacuum; null before the first. */
  rowsPerPage: number | null
  /** The number of due rows. If `isAll` is false, there are more. */
  due: number
  /** Whether so few rows are due that an index is faster than a scan of the whole table. */
  isAll: boolean
}

/** Finding and changing a row by an index takes as long as a quarter of reading a page. */
const ROWS_PER_PAGE = 4
const MIN_COUNTED = 10_000
/** An index counts this many rows in a tenth of a second. */
const MAX_COUNTED = 1_000_000

/** Reads the clock, the table's size, and the number of due rows, as far as the indexes are faster. */
export async function firstLook(tx: Transaction, target: SweepTarget): Promise<FirstLook> {
  const [finder, ...others] = target.finders as readonly [DueFinder, ...DueFinder[]]
  const [size] = await queryRows<Pick<FirstLook, 'now' | 'pages' | 'rowsPerPage'>>(
    tx,
    sql`
    select clock_timestamp() as "now",
           (pg_relation_size(oid) / current_setting('block_size')::int)::float8 as "pages",
           case when relpages > 0 and reltuples > 0 then reltuples::float8 / relpages end as "rowsPerPage"
    from pg_class where oid = format('%I', ${target.table}::text)::regclass`,
  )
  if (size === undefined) throw new Error(`There is no table "${target.table}"`)
  const most = Math.min(MAX_COUNTED, Math.max(MIN_COUNTED, size.pages * ROWS_PER_PAGE))
  // Without an order, the planner assumes due rows in any page of the table, and would scan the table for them.
  const byIndex = others.length === 0 ? sql`order by ${quoted(finder.key)}` : empty
  const [found] = await queryRows<{ due: number }>(
    tx,
    sql`
    select count(*)::float8 as "due"
    from (select from ${quoted(target.table)} where ${target.due} ${byIndex} limit ${most + 1}) found`,
  )
  const { due } = found ?? { due: 0 }
  return { ...size, due, isAll: due <= most }
}
