import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  statementName,
} from '@roundsman/engine/internal'
import { PrismaClient } from './generated/client.ts'

export interface DatabaseClientOptions {
  url: string
  /** Shown in pg_stat_activity, so that an operator can tell who holds a connection. */
  applicationName: string
  /** Connections at most. Default 10. */
  poolSize?: number
  /** The server cancels a statement that runs longer. Default 30,000 ms. */
  statementTimeoutMs?: number
  /**
   * Called for the log when an idle connection breaks (a restart, a managed database that cuts idle sessions). The pool
   * replaces the connection by itself.
   */
  onPoolError: (error: Error) => void
  /** Called once with a function that reads the pool's state, for metrics. */
  onPool?: (read: () => PoolState) => void
  /** Whether connections keep prepared statements, which they don't behind a transaction pooler. Default: no. */
  canPrepare?: () => boolean
  /** Called for each new connection. */
  onConnect?: (client: pg.PoolClient) => void
}

/** How many connections there are, and how many callers wait for one. */
export interface PoolState {
  /** The limit of connections. */
  max: number
  total: number
  idle: number
  waiting: number
}

/** A Prisma client that can also read past Prisma, on the same connections and outside of any transaction. */
export type DatabaseClient = PrismaClient & {
  /** For queries that are sent so often that Prisma's own work would cost more than the query. */
  readRows<Row extends object>(statement: NamedStatement): Promise<Row[]>
}

export interface NamedStatement {
  /**
   * The name under which a connection prepares the statement, when `canPrepare`. One name, one text. Default: not prepared.
   */
  name?: string
  text: string
  values?: readonly unknown[]
}

/** Creates a Prisma client over node-postgres. It connects at the first query; close it with `$disconnect()`. */
export function createDatabaseClient(options: DatabaseClientOptions): DatabaseClient {
  const { url, applicationName } = options
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000
  const pool = new pg.Pool({
    ...connectionSettings(url),
    application_name: applicationName,
    max: options.poolSize ?? 10,
    // One connection stays open, so that the first query after a pause need not wait for one.
    min: 1,
    idleTimeoutMillis: 30_000,
    statement_timeout: statementTimeoutMs,
    // When the server is out of reach, its own time-out never arrives.
    Client: boundedClient(statementTimeoutMs + 5_000),
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for what it returns
    onConnect: (client) => client.query(LIFT_TRANSACTION_TIMEOUT_SQL),
  })
  // Between the pool and the adapter nobody listens to a connection, and an unheard error ends the process. The query on
  // the broken connection fails by itself.
  pool.on('connect', (client) => client.on('error', () => undefined))
  // The adapter listens only from Prisma's first query on: a process that only reads past Prisma would end when an idle
  // connection is cut.
  const onPoolError = (error: Error & { client?: unknown }) => {
    // A log writes all that an error carries. The pool has put its client there, with the key that cancels its statements.
    delete error.client
    options.onPoolError(error)
  }
  pool.on('error', onPoolError)
  if (options.onConnect) pool.on('connect', options.onConnect)
  options.onPool?.(() => ({
    max: pool.options.max,
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  }))
  const adapter = new PrismaPg(pool, {
    onConnectionError: onPoolError,
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
      // Prisma's $disconnect does not close a pool that Prisma has never used.
      if (!pool.ending) await pool.end()
    },
  })
}

/**
 * A client that gives a query up, with its connection, when no answer comes in time. The driver's `query_timeout` would do, but
 * with it, and with the driver's promises, each answer stays until the next full garbage collection, and the small ones then
 * take 10 ms instead of 0.4.
 */
function boundedClient(timeoutMs: number): new () => pg.Client {
  return class extends pg.Client {
    // oxlint-disable-next-line typescript/no-explicit-any -- the driver has many forms of it
    override query(...given: any[]): any {
      const query = super.query.bind(this) as (...all: unknown[]) => unknown
      const all: unknown[] = given
      if (typeof (all[0] as Partial<pg.Submittable> | null)?.submit === 'function')
        return query(...all)

      const ask = (args: readonly unknown[], callback: Callback) => {
        let isOver = false
        let timer: NodeJS.Timeout | null = null
        // Of a value that it cannot send the driver tells twice, and first before it returns.
        const end: Callback = (error, result) => {
          if (isOver) return
          isOver = true
          if (timer) clearTimeout(timer)
          callback(error, result)
        }
        query(...args, end)
        if (isOver) return
        timer = setTimeout(() => {
          end(new Error('Query read timeout'))
          this.connection.stream.destroy()
        }, timeoutMs)
      }

      const last = all.at(-1)
      if (typeof last === 'function') return ask(all.slice(0, -1), last as Callback)
      return new Promise((resolve, reject) => {
        ask(all, (error, result) => {
          if (error) reject(error)
          else resolve(result)
        })
      })
    }
  }
}

type Callback = (error: Error | null, result?: unknown) => void
