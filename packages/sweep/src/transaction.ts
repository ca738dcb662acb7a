import type { PrismaClient } from '@roundsman/db'
import type { TransactionOf } from '@roundsman/engine'

export type Transaction = TransactionOf<PrismaClient>
