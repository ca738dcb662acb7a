import { Socket } from 'node:net'
import pg from 'pg'
import { expectAddress } from '../arguments/connection.ts'
import type { Logger } from '../job/logger.ts'
import { answerInTime, socketOf, UnansweredError } from './answerInTime.ts'
import { isConnectionLoss } from './isConnectionLoss.ts'
import { settlesWithin } from './settlesWithin.ts'
import { connectionSettings, LIFT_TRANSACTION_TIMEOUT_SQL } from './connectionSettings.ts'
import type { Schema } from './schema.ts'

/*
 * A connection of the pool is in one of these states.
 *
 *   opening      A statement or transaction found no free connection and the pool has room. It is idle once it has its settings; after
 *                5 s without an answer it is destroyed, and the waiting caller gets the error.
 *   idle         The pool holds it. query() and transaction() make it busy. After 30 s the pool ends it, but keeps one: of the
 *                connections for prepared statements, if there are any.
 *   busy         One statement or transaction has it. It returns to idle when the server has answered, also with an error, and
 *                after a successful rollback. Otherwise it is destroyed.
 *   destroyed    By the above, by the server, by close() after its time-out, or by doubt(). Nothing leaves this state.
 *
 * A statement is short or long. A short one has an answer within 15 s: the server ends it after 10 s, also while it waits for a
 * lock, so that only a connection that has lost its other end is silent for longer. Long ones are those of pools and transactions
 * that set `statementTimeoutMs`.
 */

/** A statement that a connection may keep prepared, so that PostgreSQL parses and plans it once. */
export interface PreparedStatement {
  name: string
  text: string
}

/** A statement whose columns these types parse instead of the driver's. */
export interface ReadingStatement {
  text: string
  types: ColumnTypes
}

/** The driver's interface, repeated here: its own type packages are not installed with the engine. */
export interface ColumnTypes {
  // oxlint-disable-next-line typescript/no-explicit-any -- as the driver has it
  getTypeParser(oid: number, format?: any): any
}

/** A row as the driver returns it, by column. */
export interface AnyRow {
  // oxlint-disable-next-line typescript/no-explicit-any -- as the driver has it
  [column: string]: any
}

/** A statement of the host, whose names are not translated to the schema's. */
export interface ForeignStatement {
  foreignText: string
}

export type Statement = string | PreparedStatement | ReadingStatement | ForeignStatement

/** Runs a statement and returns its rows, and the number of rows it touched. Both a pool and a transaction are one. */
export interface Connection {
  /** The schema of the tables in its statements. */
  readonly schema: Schema
  query<Row extends AnyRow = AnyRow>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Result<Row>>
}

export interface TransactionOptions {
  /** Maximum wait of a statement or the commit for a lock of another session. Default: that of the pool. */
  lockTimeoutMs?: number | undefined
  /** Makes its statements long: the server cancels one that runs longer. Default: that of the pool. */
  statementTimeoutMs?: number | undefined
}

export type Result<Row> = { rows: Row[]; rowCount: number | null }

export interface Database extends Connection {
  transaction<Value>(
    work: (tx: Connection) => Promise<Value>,
    options?: TransactionOptions,
  ): Promise<Value>
  connections(): Connections
  /**
   * A connection to this server has fallen silent: destroys idle connections at once, and busy ones that stay silent soon
   * after.
   */
  doubt(): void
  /** Waits up to `timeoutMs` for statements under way, then destroys the rest. Default 5,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

/** The connections of a pool. */
export interface Connections {
  /** Maximum of open connections. */
  max: number
  total: number
  idle: number
  /** Statements and transactions that wait for a connection. */
  waiting: number
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  schema: Schema
  /** Maximum of open connections. Default 10. */
  poolSize?: number
  /** Whether an idle connection keeps the process alive. Default true. */
  keepsProcess?: boolean
  /** Whether connections are sessions, which keep settings and prepared statements, as a worker's do. Default: no. */
  isSession?: boolean
  /** The server cancels a statement that runs longer. Null: never. Default 10,000 ms. */
  statementTimeoutMs?: number | null
  /**
   * Maximum wait of a statement or a commit for a lock of another session; behind a pooler only in transactions. Default: no
   * limit.
   */
  lockTimeoutMs?: number
  /** Maximum wait for an answer: an unreachable server cancels nothing. Default: statementTimeoutMs + 5,000 ms. */
  answerTimeoutMs?: number | null
  log: Pick<Logger, 'warn'>
}

/** A kept plan must not scan a whole table: the table may have been short when PostgreSQL made the plan. */
export const KEEP_TO_INDEXES = { enable_seqscan: 'off', enable_bitmapscan: 'off' }

/** Connections that keep plans: as many as a worker sends claims at once. */
const MAX_PREPARING = 3

/** Time-out for the settings of a new connection: a pool would wait for them without a limit. */
const OPEN_TIMEOUT_MS = 5_000

/** Time that a short statement still gets after another connection has fallen silent. */
const DOUBTED_MS = 5_000

const SHORT_MS = 10_000
/** The client waits this much longer for an answer than the server's time-out. */
const MORE_MS = 5_000

/** For transactions with long statements: acts, backfills, clean-ups, enqueueing of many. */
export const LONG = { statementTimeoutMs: 30_000 }

/** Time that close() waits for sockets to close before it destroys them. */
const FAREWELL_MS = 1_000

/**
 * Opens the engine's own pool. Handlers use the host's client. The statements that record, fence and settle use the driver
 * directly, because they run once per batch of runs and carry arrays.
 */
export function openDatabase({
  url,
  applicationName,
  schema,
  poolSize = 10,
  keepsProcess = true,
  isSession = false,
  statementTimeoutMs = SHORT_MS,
  answerTimeoutMs = answerTimeoutOf(statementTimeoutMs),
  lockTimeoutMs,
  log,
}: DatabaseOptions): Database {
  const isPrepared = (statement: Statement): statement is PreparedStatement =>
    typeof statement === 'object' && 'name' in statement && isSession
  /** Connections with KEEP_TO_INDEXES. The others keep no plan. */
  const preparing = new WeakSet<object>()
  const idle = new Set<pg.PoolClient>()
  /** The short statements without an answer, by their connections. */
  const asked = new Map<pg.PoolClient, object>()
  const doubt = () => {
    for (const client of idle) socketOf(client).destroy()
    const doubted = [...asked]
    setTimeout(() => {
      for (const [client, question] of doubted)
        if (asked.get(client) === question) socketOf(client).destroy()
    }, DOUBTED_MS).unref()
  }
  const ask = async <Row extends AnyRow>(
    client: pg.PoolClient,
    statement: Statement,
    values: readonly unknown[] = [],
    timeoutMs = answerTimeoutMs,
  ): Promise<Result<Row>> => {
    if (timeoutMs !== null && timeoutMs <= SHORT_MS + MORE_MS) asked.set(client, {})
    try {
      const answer = queryByCallback<Row>(client, {
        text: sqlOf(schema, statement),
        values: values as unknown[],
        ...(typeof statement === 'object' && 'types' in statement && { types: statement.types }),
        ...(preparing.has(client) && isPrepared(statement) && { name: statement.name }),
      })
      if (timeoutMs === null) return await answer
      return await answerInTime(answer, { timeoutMs, socket: socketOf(client) })
    } catch (error) {
      if (error instanceof UnansweredError) doubt()
      throw error
    } finally {
      asked.delete(client)
    }
  }
  const sockets = new Set<Socket>()
  const openPool = (min: number, max: number, settings?: Readonly<Record<string, string>>) => {
    const own = { statement_timeout: statementTimeoutMs, lock_timeout: lockTimeoutMs, ...settings }
    const openSql = [
      LIFT_TRANSACTION_TIMEOUT_SQL,
      // A pooler may have ignored the settings at the start. Behind one in transaction mode these would reach other
      // connections.
      ...(isSession ? toSettings(own).map((one) => `set ${one}`) : []),
    ].join(';')
    const opened = new pg.Pool({
      ...connectionSettings(url, { lockTimeoutMs, settings }),
      application_name: applicationName,
      max,
      min,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: !keepsProcess,
      // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for what it returns
      onConnect: async (client) => {
        const inTime = { timeoutMs: OPEN_TIMEOUT_MS, socket: socketOf(client) }
        await answerInTime(client.query(openSql), inTime).catch((error: unknown) => {
          socketOf(client).destroy()
          throw error
        })
        if (settings !== undefined) preparing.add(client)
      },
      ...(statementTimeoutMs !== null && { statement_timeout: statementTimeoutMs }),
      stream: () => {
        const socket = new Socket()
        sockets.add(socket)
        return socket.once('close', () => sockets.delete(socket))
      },
    })
    // Restarts and managed databases cut idle connections; the pool opens others. Log only the message: the error carries the
    // client, and with it the key that cancels its statements.
    opened.on('error', ({ message }) =>
      log.warn({ reason: message }, 'idle database connection lost'),
    )
    // Between the pool and its caller nothing listens to a connection, and an unhandled 'error' event ends the process. The
    // query that uses the broken connection fails by itself.
    opened.on('connect', (client) => client.on('error', () => undefined))
    opened.on('release', (_, client) => idle.add(client))
    for (const event of ['acquire', 'remove'] as const)
      opened.on(event, (client) => idle.delete(client))
    return opened
  }
  // One stays open, so that the first statement after a pause finds its connection and its prepared statements. Prepared
  // statements have a separate pool, since each connection plans a statement six times before it keeps the plan.
  const ownSize = isSession ? Math.min(MAX_PREPARING, poolSize - 1) : 0
  const own = ownSize > 0 ? openPool(1, ownSize, KEEP_TO_INDEXES) : null
  const pool = openPool(own === null ? 1 : 0, poolSize - ownSize)
  const pools = own === null ? [pool] : [own, pool]
  const choosePool = (statement: Statement) => {
    if (own === null) return pool
    const mayOpen = own.totalCount < ownSize
    if (isPrepared(statement)) return isFree(own) || mayOpen ? own : pool
    // A statement that is not prepared uses the prepared pool only instead of opening a first connection, or instead of
    // waiting.
    const isFirst = own.totalCount + pool.totalCount === 0
    const isFull = !isFree(pool) && pool.totalCount === poolSize - ownSize
    const ownHelps = isFree(own) ? isFull || pool.totalCount === 0 : isFull && mayOpen
    return isFirst || ownHelps ? own : pool
  }
  const connect = async (chosen: pg.Pool) => {
    // For an invalid URL, the driver would connect to a host named `base`.
    expectAddress(url)
    try {
      return await chosen.connect()
    } catch (error) {
      // A server without room for another connection still answers on open ones.
      const other = pools.find((one) => one !== chosen && isFree(one))
      if (other === undefined) throw error
      return await other.connect()
    }
  }
  const sum = (count: (one: pg.Pool) => number) =>
    pools.reduce((total, one) => total + count(one), 0)

  return {
    schema,
    async query(statement, values) {
      const client = await connect(choosePool(statement))
      let failure: Error | undefined
      try {
        return await ask(client, statement, values)
      } catch (error) {
        if (!(error instanceof pg.DatabaseError) || isConnectionLoss(error))
          failure = error as Error
        throw error
      } finally {
        client.release(failure)
      }
    },
    transaction: async (work, options) => {
      const longMs = options?.statementTimeoutMs
      const limits = toSettings({
        lock_timeout: options?.lockTimeoutMs ?? lockTimeoutMs,
        statement_timeout: longMs,
      })
      const timeoutMs = longMs === undefined ? answerTimeoutMs : answerTimeoutOf(longMs)
      const client = await connect(pool)
      const tx: Connection = {
        schema,
        query: (statement, values) => ask(client, statement, values, timeoutMs),
      }
      // A checked-out client reports a lost connection here as well as in its current query.
      let broken: Error | undefined
      const onError = (error: Error) => (broken = error)
      client.on('error', onError)
      try {
        // One message, since each costs a round trip to the server.
        await tx.query(['begin', ...limits.map((one) => `set local ${one}`)].join('; '))
        const result = await work(tx)
        await tx.query('commit')
        return result
      } catch (error) {
        // A connection that did not answer would not answer a rollback either.
        if (error instanceof UnansweredError) broken ??= error
        else await tx.query('rollback').catch((reason: unknown) => (broken ??= reason as Error))
        throw error
      } finally {
        client.off('error', onError)
        // A connection that is lost or silent leaves the pool.
        client.release(broken)
      }
    },
    doubt,
    connections: () => ({
      max: poolSize,
      total: sum(({ totalCount }) => totalCount),
      idle: sum(({ idleCount }) => idleCount),
      waiting: sum(({ waitingCount }) => waitingCount),
    }),
    async close({ timeoutMs = 5_000 } = {}) {
      const deadline = performance.now() + timeoutMs
      await settlesWithin(Promise.all(pools.map((one) => one.end())), timeoutMs)
      const closed = Promise.all(
        [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
      )
      await settlesWithin(closed, Math.max(0, Math.min(FAREWELL_MS, deadline - performance.now())))
      for (const socket of sockets) socket.destroy()
      // Destroying a socket rejects all callers that still wait for an answer on it.
      await closed
    },
  }
}

/** An unreachable server cancels nothing. */
const answerTimeoutOf = (statementTimeoutMs: number | null) =>
  statementTimeoutMs === null ? null : statementTimeoutMs + MORE_MS

/** The arguments of `set`, for the settings that have a value. */
export const toSettings = (
  settings: Readonly<Record<string, string | number | null | undefined>>,
) =>
  Object.entries(settings).flatMap(([name, value]) => (value == null ? [] : `${name} = ${value}`))

/** The same database with long statements. Each is a transaction. */
export function longOf({ schema, transaction }: Pick<Database, 'schema' | 'transaction'>) {
  const inLong = <Value>(work: (tx: Connection) => Promise<Value>) => transaction(work, LONG)
  const query: Connection['query'] = (...asked) => inLong((tx) => tx.query(...asked))
  return { schema, query, transaction: inLong }
}

/** Whether it has an idle connection, and no caller waits for one. */
function isFree({ idleCount, waitingCount }: pg.Pool): boolean {
  return idleCount > waitingCount
}

/**
 * Sends a query with the driver's callback. With its promises each answer stays until the next full garbage collection. The
 * small ones, one for every hundred pages, then take 10 ms instead of 0.4.
 */
async function queryByCallback<Row extends AnyRow>(
  client: pg.PoolClient,
  query: pg.QueryConfig,
): Promise<pg.QueryResult<Row>> {
  try {
    return await new Promise((resolve, reject) => {
      client.query<Row>(query, (error: Error | null, result) => {
        if (error) reject(error)
        else resolve(result)
      })
    })
  } catch (error) {
    // As with the driver's promises, the stack leads to the caller instead of the socket.
    if (error instanceof Error) Error.captureStackTrace(error)
    throw error
  }
}

/** The text of a statement, with its names translated to this schema. */
export function sqlOf(schema: Schema, statement: Statement): string {
  if (typeof statement === 'string') return schema.sql(statement)
  if ('text' in statement) return schema.sql(statement.text)
  return statement.foreignText
}
