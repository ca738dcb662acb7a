import fc from 'fast-check'
import type pg from 'pg'

/** What another session holds of the engine's tables. */
export interface ForeignLocks {
  rows: { table: number; lock: string; limit: number | null }[]
  whole: { table: number; lock: string } | null
  heldMs: number
}

/** A table's place among all of them, modulo their number. */
const table = fc.nat({ max: 999 })

/** Draws row locks of each strength, and now and then a whole table, for some time between 1 ms and the longest. */
export const foreignLocks = (longestMs: number): fc.Arbitrary<ForeignLocks> =>
  fc.record({
    rows: fc.array(
      fc.record({
        table,
        lock: fc.constantFrom('update', 'no key update', 'share', 'key share'),
        limit: fc.constantFrom(1, 5, null),
      }),
      { maxLength: 4 },
    ),
    // One at most: ours wait for a whole table as long as it takes, and may have another one in use.
    whole: fc.option(
      fc.record({
        table,
        lock: fc.constantFrom('row exclusive', 'share', 'exclusive', 'access exclusive'),
      }),
      { freq: 1 },
    ),
    heldMs: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: Math.min(longestMs, 2_500) }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: longestMs }) },
    ),
  })

/** All tables of the engine, as statements name them. */
export async function listEngineTables(session: pg.Client | pg.Pool): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relkind in ('r', 'p') and not relispartition and relname <> '_prisma_migrations'
       and relname like 'Job%' order by 1`,
  )
  return rows.map(({ name }) => name)
}

/** Takes the locks in the session's transaction, and says which. */
export async function takeForeignLocks(
  session: pg.Client,
  tables: readonly string[],
  { rows, whole }: ForeignLocks,
): Promise<string> {
  const statements = rows.map(
    ({ table: at, lock, limit }) =>
      `select from ${tables[at % tables.length]} limit ${limit ?? 'all'} for ${lock}`,
  )
  if (whole) statements.push(`lock ${tables[whole.table % tables.length]} in ${whole.lock} mode`)
  for (const statement of statements) await session.query(statement)
  return statements.join('; ')
}
