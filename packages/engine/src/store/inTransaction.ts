import type { HostClient } from '../index.ts'
import { sqlOf, type Connection, type Statement } from './database.ts'
import type { Schema } from './schema.ts'

/** A transaction of the caller's, by whichever Prisma client, or the client itself. */
export interface PrismaTransactionLike {
  // oxlint-disable-next-line typescript/no-explicit-any -- as Prisma has it
  $queryRawUnsafe<Value = unknown>(query: string, ...values: any[]): Promise<Value>
}

/** The same as our own statements take it; they name no prepared statement there. */
export function asConnection(tx: PrismaTransactionLike, schema: Schema): Connection {
  return {
    schema,
    async query<Row>(statement: Statement, values: readonly unknown[] = []) {
      const rows = await tx.$queryRawUnsafe<Row[]>(sqlOf(schema, statement), ...values)
      return { rows, rowCount: rows.length }
    },
  }
}

/** Works in the caller's transaction; given a client, in one of its own. */
export async function inTransaction<Value>(
  tx: PrismaTransactionLike,
  schema: Schema,
  work: (tx: PrismaTransactionLike) => Promise<Value>,
): Promise<Value> {
  const within = (own: PrismaTransactionLike) =>
    work({
      $queryRawUnsafe: (text, ...values: unknown[]) =>
        own.$queryRawUnsafe(schema.sql(text), ...values),
    })
  return isClient(tx) ? ((await tx.$transaction(within)) as Value) : await within(tx)
}

/** A transaction can begin another within it, but not connect. */
export function isClient<Tx extends object>(tx: Tx): tx is Tx & HostClient {
  return '$connect' in tx
}
