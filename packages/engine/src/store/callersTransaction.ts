import { inspect } from 'node:util'
import type { HostTransaction } from '../index.ts'
import { sqlOf, type Connection, type ReadingStatement, type Statement } from './database.ts'
import type { Schema } from './schema.ts'

/** What a host has given, once it is known whose it is. */
export interface Host {
  /** Of its own each statement commits by itself; a transaction's does when that commits. */
  readonly isClient: boolean
  /** For statements of ours; it keeps none of them prepared. */
  readonly connection: Connection
  /**
   * Works in a transaction that the host's library begins and ends: it commits if the work resolves, and is rolled back
   * with the work's error else. Of a transaction, it begins none.
   */
  transaction<Value>(work: (tx: object) => Promise<Value>, limits?: Limits): Promise<Value>
  /** Whether its library lets nobody go on with a transaction that has ended. */
  readonly closesTransactions: boolean
}

/** In milliseconds. */
export interface Limits {
  /** For a connection to be free. Only Prisma is asked for it; the other libraries have settings of their own. */
  maxWait: number
  /** For the transaction, from its begin to its end. */
  timeout: number
}

/**
 * Tells by its shape whose client or transaction it is: there may be several versions of a library in one program, and
 * this engine imports none of them.
 * @throws TypeError that says what was given, and what can be
 */
export function recogniseHost(given: unknown, schema: Schema): Host {
  const host = findHost(given, schema)
  if (host !== null) return host
  throw new TypeError(
    `${describe(given)} is no client or transaction that can carry statements: give one of Prisma, Drizzle (node-postgres or postgres.js), Kysely, Knex, pg or postgres.js`,
  )
}

/** For statements of ours in the caller's transaction. */
export function asConnection(tx: HostTransaction, schema: Schema): Connection {
  return recogniseHost(tx, schema).connection
}

/** Works in the caller's transaction; given a client, in one of its own. */
export async function inTransaction<Value>(
  tx: HostTransaction,
  schema: Schema,
  work: (tx: Connection) => Promise<Value>,
): Promise<Value> {
  const host = recogniseHost(tx, schema)
  if (!host.isClient) return await work(host.connection)
  return await host.transaction((own) => work(recogniseHost(own, schema).connection))
}

type Parts = Record<string, unknown>

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
    // A transaction can begin another within it, but not connect.
    isClient: '$connect' in client,
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
    isClient: typeof sql.begin === 'function',
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

/** It reads and writes instants and JSON in a way of its own: its driver is asked instead. */
function drizzle(db: Drizzle, schema: Schema): Host | null {
  const driver = findHost(db.session?.client, schema)
  if (driver === null) return null
  return { ...driver, transaction: (work, limits) => db.transaction(limit(work, limits, schema)) }
}

interface Kysely {
  isTransaction: boolean
  withoutPlugins(): Kysely
  executeQuery(query: object): Promise<{ rows: Parts[] }>
  transaction(): { execute<Value>(work: (tx: object) => Promise<Value>): Promise<Value> }
}

function kysely(db: Kysely, schema: Schema): Host {
  return {
    isClient: !db.isTransaction,
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
    isClient: db.isTransaction !== true,
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

interface NodePostgres {
  totalCount?: number
  query(statement: object | string): Promise<{ rows: Parts[] }>
  connect(): Promise<NodePostgres & { release(error?: unknown): void }>
  on(event: 'error', listener: (error: unknown) => void): unknown
  off(event: 'error', listener: (error: unknown) => void): unknown
  getTransactionStatus?(): string | null
}

function nodePostgres(client: NodePostgres, schema: Schema): Host {
  const isPool = typeof client.totalCount === 'number'
  return {
    // Whether somebody has begun a transaction on a connection, versions of pg before 8.17 do not say.
    isClient: isPool || client.getTransactionStatus?.() === 'I',
    connection: connect(
      schema,
      async (text, values, types) =>
        (await client.query({ text, values, ...(types && { types }) })).rows,
    ),
    async transaction(work, limits) {
      if (!isPool) return await begin(client, limit(work, limits, schema))
      const connection = await client.connect()
      // A pool listens to those alone that nobody has, and an error that nobody hears ends the process.
      let broken: unknown
      const onError = (error: unknown) => (broken = error)
      connection.on('error', onError)
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

async function begin<Value>(
  client: NodePostgres,
  work: (tx: object) => Promise<Value>,
  onBroken: (error: unknown) => void = () => undefined,
): Promise<Value> {
  await client.query('begin')
  try {
    const value = await work(client)
    await client.query('commit')
    return value
  } catch (error) {
    await client.query('rollback').catch(onBroken)
    throw error
  }
}

type Ask = (
  text: string,
  values: readonly unknown[],
  types: ReadingStatement['types'] | undefined,
) => Promise<object[]>

/** What all of our statements in transactions of others go through. */
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
 * Each value as a text, and said to be one: what a driver makes of others depends on what it takes them for. postgres.js
 * would write the text of a JSON value as JSON once more.
 */
function asTexts(text: string, values: readonly unknown[]): [string, (string | null)[]] {
  return [text.replaceAll(/\$\d+/g, '$&::text'), (values as readonly Parameter[]).map(toText)]
}

/** Our statements take no others. */
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

/** PostgreSQL's number of the type. */
const TIMESTAMPTZ = 1184

/** Drizzle has postgres.js leave instants as texts. */
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
 * Has the server end what takes longer, connection and all: a library that gave it up by itself would let the work go on
 * outside of it.
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

/** PostgreSQL below 17 has a limit only for a transaction of which nobody asks anything. */
const LIMIT_SQL = `
  select set_config('idle_in_transaction_session_timeout', $1, true) as "idle",
         case when current_setting('server_version_num')::int >= 170000
           then set_config('transaction_timeout', $1, true) end as "all"`

/** What the work comes to, where the library's own answer may be another: postgres.js awaits all items of an array. */
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

function describe(given: unknown): string {
  if (typeof given !== 'object' || given === null) return inspect(given, { maxStringLength: 20 })
  try {
    const name = (given.constructor as { name?: unknown } | undefined)?.name
    const keys = Object.keys(given).slice(0, 5).join(', ')
    return `An object of ${typeof name === 'string' ? name : 'no class'} with { ${keys} }`
  } catch {
    return 'What was given'
  }
}
