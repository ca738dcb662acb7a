import type pg from 'pg'

/**
 * Fills a table and builds its indexes once it is full, which takes a fraction of the time. Then vacuums and analyses it,
 * as autovacuum would. Commits of the client have to wait for the disk: else the vacuum does not know yet that the rows are
 * committed, and leaves a part of the pages for index-only scans to look into.
 */
export async function bulkInsert(
  client: pg.Client,
  table: string,
  insert: string,
  values: unknown[] = [],
): Promise<void> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
     from pg_index where indrelid = format('%I', $1::text)::regclass and not indisprimary`,
    [table],
  )
  await client.query(`set maintenance_work_mem = '512MB'`)
  for (const { name } of rows) await client.query(`drop index ${name}`)
  await client.query(insert, values)
  for (const { definition } of rows) await client.query(definition)
  await client.query(`vacuum analyze "${table}"`)
}
