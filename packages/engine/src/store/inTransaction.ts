import type { PrismaTransactionLike } from 'pg-boss'
import type { JobsPrismaClient } from '../index.ts'

/** A transaction of the caller's, by whichever Prisma client, or the client itself. */
export type { PrismaTransactionLike }

/** Works in the caller's transaction; given a client, in one of its own. */
export async function inTransaction<Value>(
  tx: PrismaTransactionLike,
  work: (tx: PrismaTransactionLike) => Promise<Value>,
): Promise<Value> {
  return isClient(tx) ? ((await tx.$transaction(work)) as Value) : await work(tx)
}

/** A transaction can begin another within it, but not connect. */
export function isClient<Tx extends object>(tx: Tx): tx is Tx & JobsPrismaClient {
  return '$connect' in tx
}
