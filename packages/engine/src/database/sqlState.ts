import pg from 'pg'

export const UNIQUE_VIOLATION = '23505'
/** Another session held a lock for longer than this transaction waits. */
export const LOCK_NOT_AVAILABLE = '55P03'
/** By `statement_timeout`, or by a person. */
export const QUERY_CANCELED = '57014'
export const DEADLOCK_DETECTED = '40P01'
export const INSUFFICIENT_PRIVILEGE = '42501'
/** Also for a server that is a standby. */
export const READ_ONLY = '25006'
/** `object_not_in_prerequisite_state`. */
export const WRONG_STATE = '55000'

/** Whether PostgreSQL refused a statement with this code (SQLSTATE). */
export function hasSqlState(error: unknown, code: string): error is Error {
  return error instanceof pg.DatabaseError && error.code === code
}

/** Whether the database refused to write. */
export const isReadOnly = (error: unknown) => hasSqlState(error, READ_ONLY)

/** Codes that a run may get without an error in its statements, or that describe the error. */
const MEANINGS: Readonly<Record<string, string>> = {
  '22001': 'A text is longer than its column allows.',
  '23502': 'A column that needs a value got none.',
  '23503': 'A row refers to one that is missing, or is still referred to.',
  [UNIQUE_VIOLATION]: 'There is a row with this unique key already.',
  '23514': 'A value breaks a check constraint.',
  [READ_ONLY]: 'The transaction or the server is read-only, such as a standby.',
  '25P02': 'An earlier statement of this transaction had failed, and it was used all the same.',
  '25P03': 'The transaction was idle for longer than idle_in_transaction_session_timeout allows.',
  '25P04': 'The transaction took longer than transaction_timeout allows.',
  '40001': 'Another transaction changed the same rows, so this one could not go on.',
  [DEADLOCK_DETECTED]: 'Transactions waited for each other, and PostgreSQL ended this one.',
  [INSUFFICIENT_PRIVILEGE]: 'The role may not do this.',
  '42703': 'There is no such column: a migration may be missing.',
  '42P01': 'There is no such table: a migration may be missing.',
  '53100': 'The disk of the database server is full.',
  '53200': 'The database server is out of memory.',
  '53300':
    'The database server has no connection left: others hold all that max_connections allows.',
  [LOCK_NOT_AVAILABLE]: 'Another session held a lock for longer than this one waits for it.',
  [QUERY_CANCELED]:
    'The statement took longer than statement_timeout allows, or somebody cancelled it.',
  '57P01': 'An administrator or a shutdown of the database server ended the connection.',
  '57P03': 'The database server is starting or shutting down.',
}

/** PostgreSQL's meaning of the code, in a sentence. Undefined for a rarer code, and for any other text. */
export function meaningOfSqlState(code: string): string | undefined {
  return Object.hasOwn(MEANINGS, code) ? MEANINGS[code] : undefined
}
