import pg from 'pg'
import type { HostLogger } from '../job/logger.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import { checkReaderOptions } from '../arguments/queries.ts'
import { containedLog } from '../database/containedLog.ts'
import { openDatabase, type Connection } from '../database/database.ts'
import { createSchema, type Schema } from '../database/schema.ts'
import { asTransaction } from '../database/callersTransaction.ts'

export interface Statement {
  text: string
  values?: readonly unknown[]
}

/** The last item of a page: the next page begins after it. Instants alone are not unique, so it includes the id. */
export interface PagePosition {
  /** ISO 8601, or PostgreSQL's format, in UTC. */
  at: string
  id: string
}

/** Runs reading statements. It returns instants as ISO 8601 in UTC with milliseconds, and JSON as its value. */
export interface JobsReader {
  rows<Row extends object>(statement: Statement): Promise<Row[]>
}

export interface ReaderOptions {
  databaseUrl: string
  /** The schema with the tables that `migrate` created. Default `roundsman`. */
  schema?: string | undefined
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
  /** Maximum of its connections; the first opens with the first statement. Default 5. */
  poolSize?: number
  /** PostgreSQL cancels a statement that runs longer. Default 30,000 ms. */
  statementTimeoutMs?: number
}

/** Opens a reader with its own connections, for programs that only read. It needs neither a client nor a worker. */
export function openReader(options: ReaderOptions): JobsReader & { close(): Promise<void> } {
  const {
    databaseUrl,
    schema,
    log,
    poolSize = 5,
    statementTimeoutMs = 30_000,
  } = checkReaderOptions(options)
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman reader',
    schema: createSchema(schema),
    poolSize,
    statementTimeoutMs,
    log: containedLog(log),
  })
  return { ...readerOf(database), close: () => database.close() }
}

/** Creates a reader on one of the engine's own connections. */
export function readerOf(connection: Pick<Connection, 'query'>): JobsReader {
  return {
    rows: async <Row extends object>({ text, values }: Statement) =>
      (await connection.query<Row>({ text, types }, values)).rows,
  }
}

/** Reads within a transaction, and returns values as its library does. */
export function plainReaderOf(tx: Connection): JobsReader {
  return {
    rows: async <Row extends object>({ text, values }: Statement) =>
      (await tx.query<Row & Record<string, unknown>>(text, values)).rows,
  }
}

/** Creates a reader in a caller's transaction, which sees its uncommitted changes. */
export function readerIn(tx: HostTransaction, schema: Schema): JobsReader {
  const connection = asTransaction(tx, schema, 'use client.reader')
  return {
    async rows<Row extends object>({ text, values }: Statement) {
      const { rows } = await connection.query<Record<string, unknown>>(text, values)
      return rows.map((row) => {
        const columns = Object.entries(row).map(([name, value]) => [
          name,
          value instanceof Date ? toReadable(value.getTime()) : value,
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

/** Converts '2026-11-24 09:00:00.12+00' to '2026-11-24T09:00:00.120Z'. A Date in between would take most of the reading time. */
function toIso(text: string): string {
  // Other texts, with microseconds or years of five digits, take the slow way.
  if (text.length > 26 || !text.endsWith('+00') || text.charCodeAt(10) !== SPACE) {
    const parse = pg.types.getTypeParser(TIMESTAMPTZ) as (text: string) => Date | number
    return toReadable(Number(parse(text)))
  }
  const time = text.slice(11, -3)
  return `${text.slice(0, 10)}T${time.length === 8 ? `${time}.000` : time.padEnd(12, '0')}Z`
}

const SPACE = 32

/**
 * The nearest instant with a year of four digits, which other programs can read. PostgreSQL has years of more digits, years
 * before Christ, and infinities, which a person may have written.
 */
function toReadable(ms: number): string {
  // JavaScript has no instants beyond the year 275760, but PostgreSQL has.
  const known = Number.isNaN(ms) ? LAST_MS : ms
  return new Date(Math.min(Math.max(known, FIRST_MS), LAST_MS)).toISOString()
}

const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')
