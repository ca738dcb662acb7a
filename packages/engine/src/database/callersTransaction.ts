import type { Socket } from 'node:net'
import { refuseClient, refuseHost } from '../arguments/transactions.ts'
import { answerInTime } from './answerInTime.ts'
import { sqlOf, type Connection, type ReadingStatement, type Statement } from './database.ts'
import type { Schema } from './schema.ts'

/** A host's client or transaction, once its library is recognised. */
export interface Host {
  /** The name of a client for messages. Null for a transaction. */
  readonly clientName: string | null
  /** Runs the engine's statements, and keeps none of them prepared. */
  readonly connection: Connection
  /**
   * Works in a transaction that the host's library begins and ends. The library commits if the work resolves; otherwise it
   * rolls back and rejects with the work's error. If the host gave a transaction, the work uses that.
   */
  transaction<Value>(work: (tx: object) => Promise<Value>, limits?: Limits): Promise<Value>
  /** Whether its library refuses statements on a transaction that has ended. */
  readonly closesTransactions: boolean
}

/** Both in milliseconds. */
export interface Limits {
  /** Maximum wait for a free connection. Only Prisma accepts it; the other libraries have settings of their own. */
  maxWait: number
  /** Maximum duration of the transaction, from its begin to its end. */
  timeout: number
}

/**
 * Recognises the library of a client or transaction by its shape: a program may have several versions of a library, and the
 * engine imports none.
 * @throws ArgumentError with the given value and the accepted ones
 */
export function recogniseHost(given: unknown, schema: Schema, argument = 'tx'): Host {
  let host: Host | null = null
  try {
    host = findHost(given, schema)
  } catch {
    // A value whose getter throws belongs to no supported library.
  }
  if (host !== null) return host
  throw refuseHost(argument, given)
}

/**
 * Returns a connection for the engine's statements in the caller's transaction. `otherwise` is the call to use without a
 * transaction.
 * @throws ArgumentError also for a client: its statements would commit by themselves, even if the transaction is rolled back
 */
export function asTransaction(given: unknown, schema: Schema, otherwise: string): Connection {
  const { clientName, connection } = recogniseHost(given, schema)
  if (clientName === null) return connection
  throw refuseClient(clientName, otherwise)
}

type Parts = Record<string, unknown>

/** Recognises a host's client or transaction by its methods. Null for any other value. */
function findHost(given: unknown, schema: Schema): Host | null {
  if (given === null || (typeof given !== 'object' && typeof given !== 'function')) return null
  const parts = given as Parts
  const has = (...names: string[]) => names.every((name) => typeof parts[name] === 'function')
  if ('$queryRawUnsafe' in given || '$transaction' in given) return prisma(parts as never, schema)
  if (typeof given === 'function') {
    if (has('unsafe')) return postgresJs(parts as never, schema)
    return has('raw', 'transaction') ? knex(parts as never, schema) : null
  }
  if (has('executeQuery', 'getExecutor')) return kysely(parts as never, schema)
  if (has('execute', 'transaction') && typeof parts.session === 'object') {
    return drizzle(parts as never, schema)
  }
  return has('query', 'connect', 'on') ? nodePostgres(parts as never, schema) : null
}

interface Prisma {
  $queryRawUnsafe<Row>(text: string, ...values: unknown[]): Promise<Row[]>
  $transaction<Value>(work: (tx: object) => Promise<Value>, options?: object): Promise<Value>
}

function prisma(client: Prisma, schema: Schema): Host {
  return {
    // A Prisma transaction has no $connect, although it can begin a nested one.
    clientName: '$connect' in client ? 'a client of Prisma' : null,
    connection: connect(schema, (text, values) => client.$queryRawUnsafe(text, ...values)),
    transaction: (work, limits) => client.$transaction(work, limits),
    closesTransactions: true,
  }
}

interface Postgres {
  unsafe(text: string, values: unknown[]): PromiseLike<PostgresAnswer>
  begin?(work: (tx: object) => Promise<unknown>): Promise<unknown>
}

type PostgresAnswer = Parts[] & { columns?: readonly { name: string; type: number }[] }

function postgresJs(sql: Postgres, schema: Schema): Host {
  return {
    // A connection of reserve() looks like a transaction.
    clientName: typeof sql.begin === 'function' ? 'the sql of postgres.js' : null,
    connection: connect(schema, async (text, values) => {
      const rows = await sql.unsafe(...asTexts(text, values))
      return readInstants(rows, rows.columns)
    }),
    transaction: (work, limits) =>
      returning((done) => (sql as Required<Postgres>).begin(done), limit(work, limits, schema)),
    closesTransactions: false,
  }
}

interface Drizzle {
  session: { client?: unknown } | null
  transaction<Value>(work: (tx: object) => Promise<Value>): Promise<Value>
}

/** Drizzle converts instants and JSON in its own way, so use its driver instead. */
function drizzle(db: Drizzle, schema: Schema): Host | null {
  const driver = findHost(db.session?.client, schema)
  if (driver === null) return null
  return {
    ...driver,
    clientName: driver.clientName === null ? null : 'the db of Drizzle',
    transaction: (work, limits) => db.transaction(limit(work, limits, schema)),
  }
}

interface Kysely {
  isTransaction: boolean
  withoutPlugins(): Kysely
  executeQuery(query: object): Promise<{ rows: Parts[] }>
  transaction(): { execute<Value>(work: (tx: object) => Promise<Value>): Promise<Value> }
}

function kysely(db: Kysely, schema: Schema): Host {
  return {
    clientName: db.isTransaction ? null : 'an instance of Kysely',
    connection: connect(schema, async (text, values) => {
      const [sql, parameters] = asTexts(text, values)
      const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] }
      const queryId = { queryId: 'roundsman' }
      // A plugin may rename the columns.
      return (await db.withoutPlugins().executeQuery({ sql, parameters, query, queryId })).rows
    }),
    transaction: (work, limits) => db.transaction().execute(limit(work, limits, schema)),
    closesTransactions: false,
  }
}

interface Knex {
  isTransaction?: boolean
  raw(text: string, values: unknown[]): PromiseLike<{ rows: Parts[] }>
  transaction(work: (tx: object) => Promise<unknown>): Promise<unknown>
}

function knex(db: Knex, schema: Schema): Host {
  return {
    clientName: db.isTransaction === true ? null : 'an instance of Knex',
    connection: connect(schema, async (text, values) => {
      const [numbered, texts] = asTexts(text, values)
      const bindings: unknown[] = []
      const bound = numbered.replaceAll(/\?|\$(\d+)/g, (found, number: string | undefined) => {
        if (number === undefined) return `\\${found}`
        bindings.push(texts[Number(number) - 1])
        return '?'
      })
      return (await db.raw(bound, bindings)).rows
    }),
    transaction: (work, limits) =>
      returning((done) => db.transaction(done), limit(work, limits, schema)),
    closesTransactions: true,
  }
}

type PooledConnection = NodePostgres & { release(error?: unknown): void }

interface NodePostgres {
  totalCount?: number
  connection?: { stream?: Socket }
  query(statement: object | string): Promise<{ rows: Parts[] }>
  connect(answer: (...answer: [Error, undefined] | [undefined, PooledConnection]) => void): void
  on(event: 'error', listener: (error: unknown) => void): unknown
  off(event: 'error', listener: (error: unknown) => void): unknown
  /** False while a query is under way or waits. */
  readyForQuery?: boolean
  /** The status in the last answer. Versions before 8.17 lack this method. */
  getTransactionStatus?(): string | null
}

function nodePostgres(client: NodePostgres, schema: Schema): Host {
  const isPool = typeof client.totalCount === 'number'
  return {
    clientName: isPool ? 'a pool of pg' : isIdle(client) ? 'a connection of pg' : null,
    connection: connect(
      schema,
      async (text, values, types) =>
        (await client.query({ text, values, ...(types && { types }) })).rows,
    ),
    async transaction(work, limits) {
      if (!isPool) return await begin(client, limit(work, limits, schema))
      // A pool listens only to idle connections, and an unhandled 'error' event ends the process.
      let broken: unknown
      const onError = (error: unknown) => (broken = error)
      const connection = await new Promise<PooledConnection>((resolve, reject) =>
        client.connect((error, opened) => {
          if (error) return reject(error)
          // At once: the server may end a connection in the packet that opens it.
          opened.on('error', onError)
          resolve(opened)
        }),
      )
      try {
        return await begin(connection, limit(work, limits, schema), onError)
      } finally {
        connection.off('error', onError)
        connection.release(broken)
      }
    },
    closesTransactions: false,
  }
}

/**
 * Whether a connection is known to be in no transaction: a `begin` may be under way. A query cannot find out: no SQL expression
 * distinguishes the two, since Parse, Bind and Execute each set statement_timestamp().
 */
function isIdle(client: NodePostgres): boolean {
  return client.readyForQuery === true && client.getTransactionStatus?.() === 'I'
}

/** Time-out for beginning or rolling back a transaction, neither of which waits for a lock. */
const ANSWER_TIMEOUT_MS = 15_000

/** Runs the work in a transaction on a connection of pg. */
async function begin<Value>(
  client: NodePostgres,
  work: (tx: object) => Promise<Value>,
  onBroken: (error: unknown) => void = () => undefined,
): Promise<Value> {
  const send = async (text: string) => {
    const answer = client.query(text)
    // Only pg's JavaScript driver has a socket.
    const socket = client.connection?.stream
    await (socket ? answerInTime(answer, { timeoutMs: ANSWER_TIMEOUT_MS, socket }) : answer)
  }
  try {
    await send('begin')
  } catch (error) {
    onBroken(error)
    throw error
  }
  try {
    const value = await work(client)
    await client.query('commit')
    return value
  } catch (error) {
    await send('rollback').catch(onBroken)
    throw error
  }
}

type Ask = (
  text: string,
  values: readonly unknown[],
  types: ReadingStatement['types'] | undefined,
) => Promise<object[]>

/** Creates a connection from a function that sends statements in a host's client or transaction. */
function connect(schema: Schema, ask: Ask): Connection {
  return {
    schema,
    async query<Row>(statement: Statement, values: readonly unknown[] = []) {
      const types =
        typeof statement === 'object' && 'types' in statement ? statement.types : undefined
      const rows = (await ask(sqlOf(schema, statement), values, types)) as Row[]
      return { rows, rowCount: rows.length }
    },
  }
}

/**
 * Sends each value as a text with a cast, since drivers encode other values by the type they guess. postgres.js would encode
 * the text of a JSON value as JSON once more. No literal of the engine's statements contains a `$1`.
 */
function asTexts(text: string, values: readonly unknown[]): [string, (string | null)[]] {
  return [text.replaceAll(/\$\d+/g, '$&::text'), (values as readonly Parameter[]).map(toText)]
}

/** The only types of values in the engine's statements. */
type Parameter = string | number | boolean | null | undefined | Date | readonly Parameter[]

function toText(value: Parameter): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== 'object') return String(value)
  const items = value.map((item) => {
    const text = toText(item)
    return text === null ? 'null' : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
  })
  return `{${items.join(',')}}`
}

/** PostgreSQL's oid of the type. */
const TIMESTAMPTZ = 1184

/** Converts instants to dates: Drizzle makes postgres.js return them as texts. */
function readInstants(rows: Parts[], columns: PostgresAnswer['columns'] = []): Parts[] {
  const names = columns.filter(({ type }) => type === TIMESTAMPTZ).map(({ name }) => name)
  if (names.length === 0) return rows
  return rows.map((row): Parts => {
    const read = names.map((name): [string, unknown] => {
      const value = row[name]
      return [name, typeof value === 'string' ? new Date(value) : value]
    })
    return Object.assign({ ...row }, Object.fromEntries(read))
  })
}

/**
 * Makes the server end a transaction that takes longer, with its connection. If the library gave it up by itself, the work
 * would continue outside of it.
 */
function limit<Value>(
  work: (tx: object) => Promise<Value>,
  limits: Limits | undefined,
  schema: Schema,
): (tx: object) => Promise<Value> {
  if (limits === undefined) return work
  return async (tx) => {
    await recogniseHost(tx, schema).connection.query(LIMIT_SQL, [String(limits.timeout)])
    return await work(tx)
  }
}

/** Before 17, PostgreSQL has a limit only for idle transactions. */
const LIMIT_SQL = `
  select set_config('idle_in_transaction_session_timeout', $1, true) as "idle",
         case when current_setting('server_version_num')::int >= 170000
           then set_config('transaction_timeout', $1, true) end as "all"`

/** Returns the work's value unchanged, although postgres.js awaits all items of an array. */
async function returning<Value>(
  run: (work: (tx: object) => Promise<void>) => Promise<unknown>,
  work: (tx: object) => Promise<Value>,
): Promise<Value> {
  let value: Value | undefined
  await run(async (tx) => {
    value = await work(tx)
  })
  return value as Value
}
