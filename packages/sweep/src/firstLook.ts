import { queryRows, type Transaction } from './transaction.ts'
import type { SweepTarget } from './sweepTarget.ts'
import { empty, quoted, sql } from './sql.ts'

/** What one statement finds out before the sweep decides anything. */
export interface FirstLook {
  /** The database's time. */
  now: Date
  /** The size of the table. */
  pages: number
  /** Rows that are deleted and not yet vacuumed, as far as the statistics know. */
  dead: number
  /** Rows in a page, as the last vacuum found them. Before any vacuum, as many as a page can hold. */
  rowsPerPage: number
  /** How many rows the planner takes the table to have; null before any vacuum. */
  planned: number | null
  /** Whether triggers or foreign keys do something after the rows were changed. No limit of a batch's time ends that. */
  hasAftermath: boolean
  /** How many rows are due. When `isAll` is false, there are more than this. */
  due: number
  isAll: boolean
  /** The pages of the first and the last row that the first index lists, or null when it lists none. */
  firstPage: number | null
  lastPage: number | null
}

/** An index lists this many in a few milliseconds. */
const MAX_DUE = 50_000

/** Reads the clock, the table's size and how much is due, as far as indexes tell quickly. */
export async function firstLook(tx: Transaction, target: SweepTarget): Promise<FirstLook> {
  const table = quoted(target.table)
  const [finder] = target.finders
  if (finder === undefined)
    throw new TypeError(`The sweep of "${target.table}" has no finders: give at least one`)
  const key = quoted(finder.key)
  // Without an order, the planner assumes due rows in any page of the table, and would scan the table for them.
  const byIndex = target.finders.length === 1 ? sql`order by ${key}` : empty
  const [look] = await queryRows<Omit<FirstLook, 'isAll'>>(
    tx,
    sql`
    select clock_timestamp() as "now",
           (pg_relation_size(oid) / current_setting('block_size')::int)::float8 as "pages",
           pg_stat_get_dead_tuples(oid)::float8 as "dead",
           case when relpages > 0 and reltuples > 0 then reltuples::float8 / relpages
             else current_setting('block_size')::int / 28 end::float8 as "rowsPerPage",
           case when relpages > 0 and reltuples > 0 then round(
             reltuples::float8 / relpages * pg_relation_size(oid) / current_setting('block_size')::int) end as "planned",
           exists (
             -- 2 is before and 64 instead of a change, 8 is a deletion, 16 an update.
             select from pg_trigger where tgrelid = pg_class.oid and tgtype & 66 = 0 and tgtype & 24 <> 0
           ) as "hasAftermath",
           (select count(*) from (
              select from ${table} where ${target.due} ${byIndex} limit ${MAX_DUE + 1}
            ) found)::float8 as "due",
           (select (ctid::text::point)[0] from ${table} where ${finder.where} order by ${key} limit 1)
             as "firstPage",
           (select (ctid::text::point)[0] from ${table} where ${finder.where} order by ${key} desc limit 1)
             as "lastPage"
    from pg_class where oid = format('%I', ${target.table}::text)::regclass`,
  )
  if (look === undefined) throw new Error(`There is no table "${target.table}"`)
  return { ...look, isAll: look.due <= MAX_DUE }
}
