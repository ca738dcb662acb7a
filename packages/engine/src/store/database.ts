import { Socket } from 'node:net'
import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import { answerInTime, UnansweredError } from './answerInTime.ts'
import { settlesWithin } from './settlesWithin.ts'
import { connectionSettings, LIFT_TRANSACTION_TIMEOUT_SQL } from './connectionSettings.ts'
import type { Schema } from './schema.ts'

/** A statement that a connection may keep, so that it is parsed and planned once and not each time. */
export interface PreparedStatement {
  name: string
  text: string
}

/** A statement whose columns are to be read in another way than the driver's. */
export interface ReadingStatement {
  text: string
  types: ColumnTypes
}

/** As the driver has it. Its own types are named by nothing that others can see: they are not installed with us. */
export interface ColumnTypes {
  // oxlint-disable-next-line typescript/no-explicit-any -- as the driver has it
  getTypeParser(oid: number, format?: any): any
}

/** A row as it comes, by column. */
export interface AnyRow {
  // oxlint-disable-next-line typescript/no-explicit-any -- as the driver has it
  [column: string]: any
}

/** One of somebody else's, which has all names as they are. */
export interface ForeignStatement {
  foreignText: string
}

export type Statement = string | PreparedStatement | ReadingStatement | ForeignStatement

/** Runs a statement and returns its rows, and how many it touched. Both a pool and a transaction are one. */
export interface Connection {
  /** In which its statements find the tables. */
  readonly schema: Schema
  query<Row extends AnyRow = AnyRow>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Result<Row>>
}

export type Result<Row> = { rows: Row[]; rowCount: number | null }

export interface Database extends Connection {
  transaction<Value>(work: (tx: Connection) => Promise<Value>): Promise<Value>
  connections(): Connections
  /** Waits for what is under way, for so long; then it destroys what still is. Default 5,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

/** How a pool stands. */
export interface Connections {
  /** At most. */
  max: number
  total: number
  idle: number
  /** Statements and transactions that wait for one. */
  waiting: number
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  schema: Schema
  /** Connections at most. Default 10. */
  poolSize?: number
  /** Whether a process goes on for the sake of a connection that is idle. Default: it does. */
  keepsProcess?: boolean
  /** Whether connections keep what is prepared: behind a transaction pooler they don't. Default: no. */
  canPrepare?: () => boolean
  /** A statement that runs longer is cancelled; null: none is. Default 30,000 ms. */
  statementTimeoutMs?: number | null
  /** Where the server is out of reach, its own limit never comes back. Default: statementTimeoutMs + 5,000 ms. */
  answerTimeoutMs?: number | null
  log: Pick<Logger, 'warn'>
}

const CONNECT_TIMEOUT_MS = 5_000
/** How long a connection may take to end in good order. */
const FAREWELL_MS = 1_000

/**
 * The engine's own pool. Handlers work through Prisma; the statements that record, fence and settle go
 * straight to the driver, because they run once per batch of jobs and carry arrays.
 */
export function openDatabase({
  url,
  applicationName,
  schema,
  poolSize = 10,
  keepsProcess = true,
  canPrepare = () => false,
  statementTimeoutMs = 30_000,
  answerTimeoutMs = statementTimeoutMs === null ? null : statementTimeoutMs + 5_000,
  log,
}: DatabaseOptions): Database {
  const queryOf = (statement: Statement, values: readonly unknown[] = []) => {
    const query = { text: sqlOf(schema, statement), values: values as unknown[] }
    if (typeof statement === 'string') return query
    if ('types' in statement) return { ...query, types: statement.types }
    return { ...query, ...('name' in statement && canPrepare() && { name: statement.name }) }
  }
  const ask = (client: pg.PoolClient, ...query: Parameters<typeof queryOf>) => {
    const answer = client.query(queryOf(...query))
    if (answerTimeoutMs === null) return answer
    return answerInTime(answer, { timeoutMs: answerTimeoutMs, socket: socketOf(client) })
  }
  const sockets = new Set<Socket>()
  const pool = new pg.Pool({
    ...connectionSettings(url),
    application_name: applicationName,
    max: poolSize,
    // What comes after a pause finds a connection that knows its statements.
    min: 1,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: !keepsProcess,
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for what it returns
    onConnect: liftTransactionTimeout,
    ...(statementTimeoutMs !== null && { statement_timeout: statementTimeoutMs }),
    stream: () => {
      const socket = new Socket()
      sockets.add(socket)
      return socket.once('close', () => sockets.delete(socket))
    },
  })
  // Idle connections are cut by restarts and by managed databases; the pool opens others.
  // Its message alone: the error carries the client, and with it the key that cancels its statements.
  pool.on('error', ({ message }) => log.warn({ reason: message }, 'idle database connection lost'))
  // Between the pool's hand and ours nobody listens to a connection, and an error that nobody hears ends
  // the process. The query that meets the broken connection fails by itself.
  pool.on('connect', (client) => client.on('error', () => undefined))

  return {
    schema,
    async query(statement, values) {
      const client = await pool.connect()
      let failure: Error | undefined
      try {
        return await ask(client, statement, values)
      } catch (error) {
        failure = error as Error
        throw error
      } finally {
        client.release(failure)
      }
    },
    transaction: (work) =>
      runTransaction(pool, async (client) => {
        const tx: Connection = {
          schema,
          query: (statement, values) => ask(client, statement, values),
        }
        await tx.query('begin')
        const result = await work(tx)
        await tx.query('commit')
        return result
      }),
    connections: () => ({
      max: poolSize,
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
    }),
    async close({ timeoutMs = 5_000 } = {}) {
      const deadline = performance.now() + timeoutMs
      await settlesWithin(pool.end(), timeoutMs)
      const closed = Promise.all(
        [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
      )
      await settlesWithin(closed, Math.max(0, Math.min(FAREWELL_MS, deadline - performance.now())))
      for (const socket of sockets) socket.destroy()
      // Whoever still waited for an answer has been told.
      await closed
    },
  }
}

/** The text of a statement, with the names that it has in this schema. */
export function sqlOf(schema: Schema, statement: Statement): string {
  if (typeof statement === 'string') return schema.sql(statement)
  if ('text' in statement) return schema.sql(statement.text)
  return schema.foreignSql?.(statement.foreignText) ?? statement.foreignText
}

async function runTransaction<Value>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Value>,
): Promise<Value> {
  const client = await pool.connect()
  // A checked-out client reports a lost connection here as well as in the query that is in flight.
  let broken: Error | undefined
  const onError = (error: Error) => (broken = error)
  client.on('error', onError)
  try {
    return await work(client)
  } catch (error) {
    // A connection that does not answer would not answer to this either.
    if (error instanceof UnansweredError) broken ??= error
    else await client.query('rollback').catch((reason: unknown) => (broken ??= reason as Error))
    throw error
  } finally {
    client.off('error', onError)
    client.release(broken)
  }
}

/** On a connection that the pool has just opened, and waits for without a limit of its own. */
async function liftTransactionTimeout(client: pg.ClientBase): Promise<void> {
  const socket = socketOf(client)
  try {
    const answer = client.query(LIFT_TRANSACTION_TIMEOUT_SQL)
    await answerInTime(answer, { timeoutMs: CONNECT_TIMEOUT_MS, socket })
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** What is between a client and its server: with TLS, the layer that says what was read. */
export function socketOf(client: object): Socket {
  return (client as { connection: { stream: Socket } }).connection.stream
}
