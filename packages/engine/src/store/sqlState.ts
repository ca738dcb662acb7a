import pg from 'pg'

export const UNIQUE_VIOLATION = '23505'

/** Whether PostgreSQL refused a statement with this code (SQLSTATE). */
export function hasSqlState(error: unknown, code: string): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === code
}
