import type { HostClient } from '../index.ts'
import type { Connection } from './database.ts'

/** A transaction of the caller's, by whichever Prisma client, or the client itself. */
export interface PrismaTransactionLike {
  // oxlint-disable-next-line typescript/no-explicit-any -- as Prisma has it
  $queryRawUnsafe<Value = unknown>(query: string, ...values: any[]): Promise<Value>
}

/** The same as our own statements take it; they name no prepared statement there. */
export function asConnection(tx: PrismaTransactionLike): Connection {
  return {
    async query<Row>(statement: string | { text: string }, values: readonly unknown[] = []) {
      const text = typeof statement === 'string' ? statement : statement.text
      const rows = await tx.$queryRawUnsafe<Row[]>(text, ...values)
      return { rows, rowCount: rows.length }
    },
  }
}

/** Works in the caller's transaction; given a client, in one of its own. */
export async function inTransaction<Value>(
  tx: PrismaTransactionLike,
  work: (tx: PrismaTransactionLike) => Promise<Value>,
): Promise<Value> {
  return isClient(tx) ? ((await tx.$transaction(work)) as Value) : await work(tx)
}

/** A transaction can begin another within it, but not connect. */
export function isClient<Tx extends object>(tx: Tx): tx is Tx & HostClient {
  return '$connect' in tx
}
