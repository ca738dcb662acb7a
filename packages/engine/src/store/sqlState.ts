import pg from 'pg'

export const UNIQUE_VIOLATION = '23505'
/** Somebody else held a lock for longer than this transaction waits. */
export const LOCK_NOT_AVAILABLE = '55P03'
export const DEADLOCK_DETECTED = '40P01'
export const INSUFFICIENT_PRIVILEGE = '42501'
export const OBJECT_IN_USE = '55006'
/** `object_not_in_prerequisite_state`. */
export const WRONG_STATE = '55000'

/** Whether PostgreSQL refused a statement with this code (SQLSTATE). */
export function hasSqlState(error: unknown, code: string): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === code
}
