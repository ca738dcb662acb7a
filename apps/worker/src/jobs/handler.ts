import type { PrismaClient } from '@roundsman/db'
import type { Handler as AnyHandler, PayloadOf, TransactionOf } from '@roundsman/engine'

export type Transaction = TransactionOf<PrismaClient>

/**
 * A handler of one of this product's jobs: its payload's type comes from the definition, its transactions from Prisma.
 */
export type Handler<J> = AnyHandler<PayloadOf<J>, Transaction>
