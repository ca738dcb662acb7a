import { textOf, type Sql } from './sql.ts'

/** A transaction of the host's: Prisma's, or a client of pg that is in one. */
export type Transaction = PrismaTransaction | PgTransaction

interface PrismaTransaction {
  // oxlint-disable-next-line typescript/no-explicit-any -- as Prisma has it
  $queryRawUnsafe<Value = unknown>(query: string, ...values: any[]): PromiseLike<Value>
  // oxlint-disable-next-line typescript/no-explicit-any -- as Prisma has it
  $executeRawUnsafe(query: string, ...values: any[]): PromiseLike<number>
}

interface PgTransaction {
  query(
    text: string,
    values?: unknown[],
  ): Promise<{ rows: unknown[]; rowCount?: number | null | undefined }>
}

function isPrisma(tx: Transaction): tx is PrismaTransaction {
  return '$queryRawUnsafe' in tx
}

export async function queryRows<Row>(tx: Transaction, statement: Sql): Promise<Row[]> {
  const text = textOf(statement)
  if (isPrisma(tx)) return await tx.$queryRawUnsafe<Row[]>(text, ...statement.values)
  return (await tx.query(text, [...statement.values])).rows as Row[]
}

/** Returns how many rows the statement changed. */
export async function execute(tx: Transaction, statement: Sql): Promise<number> {
  const text = textOf(statement)
  if (isPrisma(tx)) return await tx.$executeRawUnsafe(text, ...statement.values)
  return (await tx.query(text, [...statement.values])).rowCount ?? 0
}
