import type { Transaction } from '../jobs/handler.ts'

export interface TableSize {
  pages: number
  /** Rows that are gone and not yet vacuumed, as far as the statistics know. */
  dead: number
}

/** Asks the file and the statistics; reads no row. */
export async function tableSize(tx: Transaction, table: string): Promise<TableSize> {
  const [size] = await tx.$queryRaw<TableSize[]>`
    select (pg_relation_size(oid) / current_setting('block_size')::int)::float8 as "pages",
           pg_stat_get_dead_tuples(oid)::float8 as "dead"
    from (select format('%I', ${table}::text)::regclass::oid as oid) named`
  return size ?? { pages: 0, dead: 0 }
}
