/**
 * The types of a host's database client and its transactions. Each has only the members that the engine calls or checks, so
 * that the engine's types import no library.
 */

/* oxlint-disable typescript/no-explicit-any -- each library has its own types in these places, and methods that differ by them */

/** A client of Prisma 6 or 7. */
interface PrismaClientLike {
  $transaction(
    work: (tx: any) => Promise<unknown>,
    options?: { maxWait?: number; timeout?: number },
  ): Promise<unknown>
}

interface PrismaTransactionLike {
  $queryRawUnsafe<Value = unknown>(query: string, ...values: any[]): Promise<Value>
  $connect?: never
}

/** A client or transaction of Drizzle, over node-postgres or postgres.js. */
interface DrizzleLike {
  execute(query: any): PromiseLike<any>
  transaction(work: (tx: any) => Promise<any>, ...config: any[]): Promise<any>
}

interface DrizzleTransactionLike extends DrizzleLike {
  rollback(): never
}

interface KyselyLike {
  readonly isTransaction: boolean
  executeQuery(query: any): Promise<{ rows: any[] }>
  withoutPlugins(): any
}

interface KyselyTransactionLike extends KyselyLike {
  readonly isTransaction: true
}

interface KnexLike {
  (...table: any[]): any
  raw: any
  transaction: any
  readonly client: any
}

interface KnexTransactionLike extends KnexLike {
  commit: any
  rollback: any
}

interface PgLike {
  query(text: string, values?: any[]): Promise<{ rows: any[] }>
  on(event: 'error', listener: (error: Error) => void): any
  connect: any
}

interface PgPoolLike extends PgLike {
  readonly totalCount: number
}

/** A transaction in pg is a connection on which the host has sent `begin`. */
interface PgTransactionLike extends PgLike {
  readonly totalCount?: never
}

interface PostgresJsLike {
  (first: any, ...rest: any[]): any
  unsafe(query: string, values?: any[]): PromiseLike<any>
}

interface PostgresJsClientLike extends PostgresJsLike {
  begin: any
}

interface PostgresJsTransactionLike extends PostgresJsLike {
  begin?: never
}

/**
 * The host's own client, which opens the handlers' transactions: of Prisma, Drizzle, Kysely or Knex, a pool of pg, or the `sql`
 * of postgres.js.
 */
export type HostClient =
  | PrismaClientLike
  | DrizzleLike
  | KyselyLike
  | KnexLike
  | PgPoolLike
  | PostgresJsClientLike

/**
 * A transaction of any of these libraries. Types and a check at run time refuse a client instead of it. A connection of pg
 * without a transaction passes the types. The check refuses it, with pg 8.17 or newer, if no query of it is under way. The
 * check accepts a connection of `sql.reserve()` in postgres.js, which the types refuse.
 */
export type HostTransaction =
  | PrismaTransactionLike
  | DrizzleTransactionLike
  | KyselyTransactionLike
  | KnexTransactionLike
  | PgTransactionLike
  | PostgresJsTransactionLike

/** The type of the transactions that handlers get from a client. */
export type TransactionOf<Client> = Client extends {
  $transaction(work: (tx: infer Tx) => Promise<unknown>, ...rest: never[]): unknown
}
  ? Tx
  : Client extends { begin(options: string, work: (tx: infer Tx) => any): unknown }
    ? Tx
    : Client extends {
          readonly totalCount: number
          connect(answer: (...args: infer Answer) => void): void
        }
      ? NonNullable<Answer[1]>
      : Client extends { transaction(): { execute(work: (tx: infer Tx) => Promise<any>): unknown } }
        ? Tx
        : Client extends {
              transaction(work: (tx: infer Tx) => Promise<any>, ...rest: never[]): unknown
            }
          ? Tx
          : never
