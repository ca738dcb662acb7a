import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { connectionSettings, statementName } from '@roundsman/engine/connection'
import { PrismaClient } from './generated/client.ts'

export interface DatabaseClientOptions {
  url: string
  /** Shown in pg_stat_activity, so that an operator can tell who holds a connection. */
  applicationName: string
  /** Connections at most. Default 10. */
  poolSize?: number
  /** A statement that runs longer is cancelled by the server. Default 30,000 ms. */
  statementTimeoutMs?: number
  /**
   * Called when an idle connection breaks (a restart, a managed database that cuts idle sessions). The
   * pool replaces the connection by itself; this is for the log.
   */
  onPoolError: (error: Error) => void
  /** Given a look at how the pool stands, for those who count its connections. */
  onPool?: (read: () => PoolState) => void
  /** Whether connections keep what is prepared: behind a transaction pooler they don't. Default: no. */
  canPrepare?: () => boolean
  /** Called for each new connection. */
  onConnect?: (client: pg.PoolClient) => void
}

/** How many connections there are, and how many wait for one. */
export interface PoolState {
  /** At most. */
  max: number
  total: number
  idle: number
  waiting: number
}

/** A Prisma client that also reads past Prisma, on the same connections and outside of any transaction. */
export type DatabaseClient = PrismaClient & {
  /** For what is asked so often that making a query of Prisma's, and objects of its answer, costs more than the query. */
  readRows<Row extends object>(statement: NamedStatement): Promise<Row[]>
}

export interface NamedStatement {
  /** Under it a connection keeps the statement prepared, if connections last; always the same text. Default: it does not. */
  name?: string
  text: string
  values?: readonly unknown[]
}

/** A Prisma client over node-postgres. Connects at the first query; close it with `$disconnect()`. */
export function createDatabaseClient(options: DatabaseClientOptions): DatabaseClient {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000
  const pool = new pg.Pool({
    ...connectionSettings(options.url),
    application_name: options.applicationName,
    max: options.poolSize ?? 10,
    // What comes after a pause need not wait for a connection.
    min: 1,
    idleTimeoutMillis: 30_000,
    statement_timeout: statementTimeoutMs,
    // Where the server is out of reach, its own limit never comes back.
    query_timeout: statementTimeoutMs + 5_000,
  })
  // Between the pool's hand and the adapter's nobody listens to a connection, and an error that nobody
  // hears ends the process. The query that meets the broken connection fails by itself.
  pool.on('connect', (client) => client.on('error', () => undefined))
  // Not left to the adapter, which listens from Prisma's first query on: one that only reads past Prisma would end
  // the process when an idle connection is cut.
  pool.on('error', options.onPoolError)
  if (options.onConnect) pool.on('connect', options.onConnect)
  options.onPool?.(() => ({
    max: pool.options.max,
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  }))
  const adapter = new PrismaPg(pool, {
    onConnectionError: options.onPoolError,
    disposeExternalPool: true,
    statementNameGenerator: ({ sql }) => (options.canPrepare?.() ? statementName(sql) : ''),
  })
  const prisma = new PrismaClient({ adapter })
  const disconnect = prisma.$disconnect.bind(prisma)
  return Object.assign(prisma, {
    async readRows<Row extends object>({ name, text, values = [] }: NamedStatement) {
      const isPrepared = name !== undefined && options.canPrepare?.()
      const query = { text, values: [...values], ...(isPrepared && { name }) }
      return (await pool.query<Row>(query)).rows
    },
    async $disconnect() {
      await disconnect()
      // Of a pool that Prisma has never asked for anything, it knows nothing.
      if (!pool.ending) await pool.end()
    },
  })
}
