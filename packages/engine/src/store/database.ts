import { Socket } from 'node:net'
import pg from 'pg'
import { expectAddress } from '../arguments/connection.ts'
import type { Logger } from '../job/logger.ts'
import { answerInTime, socketOf, UnansweredError } from './answerInTime.ts'
import { settlesWithin } from './settlesWithin.ts'
import { connectionSettings } from './connectionSettings.ts'
import { createInquiry } from './inquiry.ts'
import type { Schema } from './schema.ts'

/*
 * A connection of the pool is in one of these states.
 *
 *   opening      A statement or transaction found none free and the pool has room. It is idle once it has its settings; after
 *                5 s without an answer it is destroyed, and whoever waited gets the error.
 *   idle         The pool holds it. query() and transaction() make it busy. After 30 s the pool ends it, but keeps one: of those
 *                that carry out the prepared statements, if there are any.
 *   busy         One statement or transaction has it. It returns to idle when that ends well, and after a rollback that
 *                came through. After any other error it is destroyed: a failed statement outside a transaction counts.
 *   destroyed    By the above, by the server, by close() once its time-out is over, or when it turns out to have lost its
 *                other end (inquiry.ts). Nothing leaves this state.
 */

/** A statement that a connection may keep prepared, so that PostgreSQL parses and plans it once. */
export interface PreparedStatement {
  name: string
  text: string
}

/** A statement whose columns are parsed by these types instead of the driver's. */
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

/** Runs a statement and returns its rows, and how many it touched. A pool is one, and so is a transaction. */
export interface Connection {
  /** The schema in which its statements find the tables. */
  readonly schema: Schema
  query<Row extends AnyRow = AnyRow>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Result<Row>>
}

export interface TransactionOptions {
  /** How long a statement or the commit waits for a lock of somebody else. Default: as the pool. */
  lockTimeoutMs?: number | undefined
}

export type Result<Row> = { rows: Row[]; rowCount: number | null }

export interface Database extends Connection {
  transaction<Value>(
    work: (tx: Connection) => Promise<Value>,
    options?: TransactionOptions,
  ): Promise<Value>
  connections(): Connections
  /** A connection of somebody else was lost without a word: asks those of this pool on which nothing is under way. */
  doubt(): void
  /** Waits up to `timeoutMs` for what is under way, then destroys what remains. Default 5,000 ms. */
  close(options?: { timeoutMs?: number }): Promise<void>
}

/** How many connections a pool has. */
export interface Connections {
  /** How many it may open. */
  max: number
  total: number
  idle: number
  /** How many statements and transactions wait for a connection. */
  waiting: number
}

export interface DatabaseOptions {
  url: string
  applicationName: string
  schema: Schema
  /** How many connections it may open. Default 10. */
  poolSize?: number
  /** Whether an idle connection keeps the process alive. Default true. */
  keepsProcess?: boolean
  /** Whether connections keep prepared statements; behind a transaction pooler they do not. Default: no. */
  canPrepare?: () => boolean
  /** The server cancels a statement that runs longer; null: never. Default 30,000 ms. */
  statementTimeoutMs?: number | null
  /**
   * How long a statement or a commit waits for a lock of somebody else; behind a pooler only in transactions. Default: as
   * long as it may take.
   */
  lockTimeoutMs?: number
  /** How long we wait for an answer: a server out of reach cancels nothing. Default: statementTimeoutMs + 5,000 ms. */
  answerTimeoutMs?: number | null
  /** How long a statement is silent before the server is asked about it. Default 5,000 ms. */
  askAfterMs?: number
  log: Pick<Logger, 'warn'>
}

/** A kept plan must not read a table from end to end: the table may have been short when PostgreSQL made the plan. */
const KEEP_TO_INDEXES = { enable_seqscan: 'off', enable_bitmapscan: 'off' }

/** How many connections keep plans: as many as a worker sends claims at once. */
const MAX_PREPARING = 3

/** How long close() waits for sockets to close before it destroys them. */
const FAREWELL_MS = 1_000

/**
 * Opens the engine's own pool. Handlers work through the host's client; the statements that record, fence and settle go
 * straight to the driver, because they run once per batch of runs and carry arrays.
 */
export function openDatabase({
  url,
  applicationName,
  schema,
  poolSize = 10,
  keepsProcess = true,
  canPrepare,
  statementTimeoutMs = 30_000,
  answerTimeoutMs = statementTimeoutMs === null ? null : statementTimeoutMs + 5_000,
  askAfterMs,
  lockTimeoutMs,
  log,
}: DatabaseOptions): Database {
  const isPrepared = (statement: Statement): statement is PreparedStatement =>
    typeof statement === 'object' && 'name' in statement && canPrepare?.() === true
  /** Connections that have KEEP_TO_INDEXES: a pooler may drop it. The others keep no plan. */
  const preparing = new WeakSet<object>()
  const inquiry = createInquiry({ url, applicationName, askAfterMs, log })
  const ask = async <Row extends AnyRow>(
    client: pg.PoolClient,
    statement: Statement,
    values: readonly unknown[] = [],
  ): Promise<Result<Row>> => {
    inquiry.asked(client)
    try {
      const answer = queryByCallback<Row>(client, {
        text: sqlOf(schema, statement),
        values: values as unknown[],
        ...(typeof statement === 'object' && 'types' in statement && { types: statement.types }),
        ...(preparing.has(client) && isPrepared(statement) && { name: statement.name }),
      })
      if (answerTimeoutMs === null) return await answer
      return await answerInTime(answer, { timeoutMs: answerTimeoutMs, socket: socketOf(client) })
    } catch (error) {
      if (error instanceof UnansweredError) inquiry.doubt()
      throw error
    } finally {
      inquiry.answered(client)
    }
  }
  const sockets = new Set<Socket>()
  const openPool = (min: number, max: number, settings?: Readonly<Record<string, string>>) => {
    const opened = new pg.Pool({
      ...connectionSettings(url, { lockTimeoutMs, settings }),
      application_name: applicationName,
      max,
      min,
      idleTimeoutMillis: 30_000,
      allowExitOnIdle: !keepsProcess,
      // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for what it returns
      onConnect: async (client) => {
        if (await inquiry.open(client)) preparing.add(client)
      },
      ...(statementTimeoutMs !== null && { statement_timeout: statementTimeoutMs }),
      stream: () => {
        const socket = new Socket()
        sockets.add(socket)
        return socket.once('close', () => sockets.delete(socket))
      },
    })
    // Restarts and managed databases cut idle connections; the pool opens others.
    // Log the message alone: the error carries the client, and with it the key that cancels its statements.
    opened.on('error', ({ message }) =>
      log.warn({ reason: message }, 'idle database connection lost'),
    )
    // Between the pool and its caller nobody listens to a connection, and an unheard 'error' event ends the process.
    // The query that meets the broken connection fails by itself.
    opened.on('connect', (client) => client.on('error', () => undefined))
    return opened
  }
  // One stays open, so that the first statement after a pause finds its connection and its prepared statements. These have a pool
  // of their own, since each connection plans a statement six times before it keeps the plan.
  const ownSize = canPrepare === undefined ? 0 : Math.min(MAX_PREPARING, poolSize - 1)
  const own = ownSize > 0 ? openPool(1, ownSize, KEEP_TO_INDEXES) : null
  const pool = openPool(own === null ? 1 : 0, poolSize - ownSize)
  const pools = own === null ? [pool] : [own, pool]
  const choosePool = (statement: Statement) => {
    if (own === null) return pool
    const mayOpen = own.totalCount < ownSize
    if (isPrepared(statement)) return isFree(own) || mayOpen ? own : pool
    // Others take one of these only instead of a first connection, or instead of waiting.
    const isFirst = own.totalCount + pool.totalCount === 0
    const isFull = !isFree(pool) && pool.totalCount === poolSize - ownSize
    const ownHelps = isFree(own) ? isFull || pool.totalCount === 0 : isFull && mayOpen
    return isFirst || ownHelps ? own : pool
  }
  const connect = async (chosen: pg.Pool) => {
    // The driver would ask for a host that is named `base`.
    expectAddress(url)
    try {
      return await chosen.connect()
    } catch (error) {
      // A server with no room for one more connection still answers on those that are open.
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
        failure = error as Error
        throw error
      } finally {
        client.release(failure)
      }
    },
    transaction: async (work, options) => {
      const limitMs = options?.lockTimeoutMs ?? lockTimeoutMs
      const client = await connect(pool)
      const tx: Connection = {
        schema,
        query: (statement, values) => ask(client, statement, values),
      }
      // A checked-out client reports a lost connection here as well as in the query that is in flight.
      let broken: Error | undefined
      const onError = (error: Error) => (broken = error)
      client.on('error', onError)
      try {
        // One message, since each costs the way to the server and back.
        await tx.query(
          limitMs === undefined ? 'begin' : `begin; set local lock_timeout = ${limitMs}`,
        )
        const result = await work(tx)
        await tx.query('commit')
        return result
      } catch (error) {
        // A connection that did not answer would not answer to a rollback either.
        if (error instanceof UnansweredError) broken ??= error
        else await tx.query('rollback').catch((reason: unknown) => (broken ??= reason as Error))
        throw error
      } finally {
        client.off('error', onError)
        // One that is lost or does not answer leaves the pool.
        client.release(broken)
      }
    },
    doubt: inquiry.doubt,
    connections: () => ({
      max: poolSize,
      total: sum(({ totalCount }) => totalCount),
      idle: sum(({ idleCount }) => idleCount),
      waiting: sum(({ waitingCount }) => waitingCount),
    }),
    async close({ timeoutMs = 5_000 } = {}) {
      inquiry.stop()
      const deadline = performance.now() + timeoutMs
      await settlesWithin(Promise.all(pools.map((one) => one.end())), timeoutMs)
      const closed = Promise.all(
        [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
      )
      await settlesWithin(closed, Math.max(0, Math.min(FAREWELL_MS, deadline - performance.now())))
      for (const socket of sockets) socket.destroy()
      // Destroying a socket rejects whoever still waits for an answer on it.
      await closed
    },
  }
}

/** Whether it has an idle connection that nobody waits for. */
function isFree({ idleCount, waitingCount }: pg.Pool): boolean {
  return idleCount > waitingCount
}

/**
 * Sends a query by the driver's callback. With its promises each answer stays until the next full garbage collection, and the
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
    // As the driver's promises do: the stack leads to who asked, and not to the socket.
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
