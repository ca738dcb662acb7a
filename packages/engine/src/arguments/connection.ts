import pg from 'pg'
import { ArgumentError, checkText, optional, type Check, type Hints } from '../values/argument.ts'

/*
 * The address of the tables: database URL and schema.
 */

/** Similar names for options of most entry points, for hints in errors. */
export const CONNECTION_HINTS: Hints = {
  connectionString: 'did you mean databaseUrl?',
  url: 'did you mean databaseUrl?',
  logger: 'did you mean log?',
}

/** The error does not show an invalid database address, which may contain a password. */
export const checkDatabaseUrl: Check<string> = (argument, value) => {
  try {
    if (value === '') throw new Error('It is empty')
    readPlace(checkText(argument, value))
    return value as string
  } catch (cause) {
    throw new ArgumentError(
      argument,
      'must be the address of a database, such as postgres://user@host:5432/name; is DATABASE_URL set?',
      { cause },
    )
  }
}

/** The place of a database, without credentials. */
export interface DatabasePlace {
  /** With the port, unless that is 5432; empty for a socket of this machine. */
  host: string
  name: string
}

/** Reads it as the driver does: from the URL, or from PGHOST, PGPORT and PGDATABASE. */
export function readPlace(url: string): DatabasePlace {
  const { host, port, database } = new pg.Client({ connectionString: url })
  return {
    host: host.startsWith('/') ? '' : port === 5_432 ? host : `${host}:${port}`,
    name: database ?? '',
  }
}

/** A build imports the module that creates the client, often without an address. The first connection then fails. */
export const checkUrlForLater: Check<string> = (argument, value) =>
  value === '' ? '' : checkDatabaseUrl(argument, value)

/** @throws ArgumentError if the address was empty when it was checked */
export function expectAddress(url: string): void {
  if (url === '') throw new ArgumentError('databaseUrl', 'is empty: is DATABASE_URL set?')
}

/** PostgreSQL truncates longer names. */
const MAX_SCHEMA_BYTES = 63

/** Refuses names that PostgreSQL would refuse or truncate, or that would end a text in SQL. */
export const checkSchemaName: Check<string> = (argument, value) => {
  const problem = findProblem(value)
  if (problem === null) return value as string
  throw new ArgumentError(argument, `cannot be used: ${problem}; choose another name`)
}

export const checkSchema = optional(checkSchemaName)

function findProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') return 'must be a name'
  const shown = JSON.stringify(name.slice(0, 100))
  if (Buffer.byteLength(name) > MAX_SCHEMA_BYTES)
    return `${shown} is longer than PostgreSQL's ${MAX_SCHEMA_BYTES} bytes`
  if (/^pg_/i.test(name)) return `${shown} begins with pg_, which PostgreSQL keeps for itself`
  if (name === 'information_schema') return `${shown} is PostgreSQL's`
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  if (/["'$\\\u0000-\u001f\u007f\p{Surrogate}]/u.test(name))
    return `${shown} has a quotation mark, $, a backslash or a control character in it`
  return null
}
