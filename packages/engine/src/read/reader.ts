import pg from 'pg'
import type { HostLogger, HostTransaction } from '../index.ts'
import { containedLog } from '../store/containedLog.ts'
import { openDatabase, type Connection } from '../store/database.ts'
import { createSchema, type Schema } from '../store/schema.ts'
import { asConnection } from '../store/callersTransaction.ts'

export interface Statement {
  text: string
  values?: readonly unknown[]
}

/** The last item of a page, after which the next one begins: instants are not unique, with the id they are. */
export interface PagePosition {
  /** ISO 8601, or as PostgreSQL writes it, in UTC. */
  at: string
  id: string
}

/** What all reading goes through. Instants come as ISO 8601 in UTC with milliseconds, JSON as its value. */
export interface Reader {
  rows<Row extends object>(statement: Statement): Promise<Row[]>
}

export interface ReaderOptions {
  databaseUrl: string
  /** In which `migrate` has made the tables. Default `roundsman`. */
  schema?: string | undefined
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
  /** Connections at most; there is none before the first statement. Default 5. */
  poolSize?: number
  /** A statement that runs longer is cancelled. Default 30,000 ms. */
  statementTimeoutMs?: number
}

/** For who only reads, such as a command: neither the queue nor a worker is needed. */
export function openReader(options: ReaderOptions): Reader & { close(): Promise<void> } {
  const { databaseUrl, poolSize = 5, statementTimeoutMs = 30_000 } = options
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman reader',
    schema: createSchema(options.schema),
    poolSize,
    statementTimeoutMs,
    log: containedLog(options.log),
  })
  return { ...readerOf(database), close: () => database.close() }
}

/** Reads on a connection of ours. */
export function readerOf(connection: Connection): Reader {
  return {
    async rows<Row extends object>({ text, values }: Statement) {
      return (await connection.query<Row>({ text, types }, values)).rows
    },
  }
}

/** Reads in a transaction of the caller's, and sees what that has written. */
export function readerIn(tx: HostTransaction, schema: Schema): Reader {
  const connection = asConnection(tx, schema)
  return {
    async rows<Row extends object>({ text, values }: Statement) {
      const { rows } = await connection.query<Record<string, unknown>>(text, values)
      return rows.map((row) => {
        const columns = Object.entries(row).map(([name, value]) => [
          name,
          value instanceof Date ? value.toISOString() : value,
        ])
        return Object.fromEntries(columns) as Row
      })
    },
  }
}

const TIMESTAMPTZ = pg.types.builtins.TIMESTAMPTZ

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === TIMESTAMPTZ && format !== 'binary'
      ? toIso
      : (pg.types.getTypeParser(oid, format) as (text: string) => unknown),
}

/** '2026-11-24 09:00:00.12+00' as '2026-11-24T09:00:00.120Z': a Date in between would cost most of the reading. */
function toIso(text: string): string {
  // Anything else: microseconds, years of five digits.
  if (text.length > 26 || !text.endsWith('+00') || text.charCodeAt(10) !== SPACE) {
    const parse = pg.types.getTypeParser(TIMESTAMPTZ) as (text: string) => Date
    return parse(text).toISOString()
  }
  const time = text.slice(11, -3)
  return `${text.slice(0, 10)}T${time.length === 8 ? `${time}.000` : time.padEnd(12, '0')}Z`
}

const SPACE = 32
