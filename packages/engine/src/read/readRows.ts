import { isClient, type PrismaTransactionLike } from '../store/inTransaction.ts'

export interface Statement {
  text: string
  values?: readonly unknown[]
}

/** The last item of a page, after which the next one begins: instants are not unique, with the id they are. */
export interface PagePosition {
  /** ISO 8601, or as PostgreSQL writes it, in UTC. */
  at: string
  id: string
}

/**
 * A Prisma client, or a transaction of one. Where a client has `readRows` too, pages are read past Prisma, whose work on
 * them costs more than the query; that gives instants as ISO 8601 in UTC with milliseconds, and JSON as its value.
 */
export interface Reader extends Pick<PrismaTransactionLike, '$queryRawUnsafe'> {
  readRows?: <Row extends object>(statement: Statement) => Promise<Row[]>
}

/** Instants come as ISO 8601 in UTC with milliseconds, whichever way they are read. */
export async function readRows<Row extends object>(
  reader: Reader,
  statement: Statement,
): Promise<Row[]> {
  // A transaction inherits it from its client, and past Prisma is outside of the transaction.
  if (reader.readRows && isClient(reader)) return await reader.readRows<Row>(statement)
  const { text, values = [] } = statement
  const rows = await reader.$queryRawUnsafe<Record<string, unknown>[]>(text, ...values)
  return rows.map((row) => {
    const columns = Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Date ? value.toISOString() : value,
    ])
    return Object.fromEntries(columns) as Row
  })
}
