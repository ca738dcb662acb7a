import type { Transaction } from './transaction.ts'

/** How many pages a table has now. Asks its file; reads none. */
export async function countPages(tx: Transaction, table: string): Promise<number> {
  const [size] = await tx.$queryRaw<{ pages: number }[]>`
    select (pg_relation_size(format('%I', ${table}::text)::regclass)
      / current_setting('block_size')::int)::float8 as "pages"`
  return size?.pages ?? 0
}
