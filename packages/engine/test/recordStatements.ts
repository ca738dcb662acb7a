import type { Database } from '../src/database/database.ts'

/** A database that keeps what it is asked by itself. It begins no transaction. */
export function recordStatements(database: Database): Database & { asked: unknown[] } {
  const asked: unknown[] = []
  return {
    ...database,
    asked,
    query(...statement) {
      asked.push(statement)
      return database.query(...statement)
    },
    transaction: () => Promise.reject(new Error('It takes a transaction')),
  }
}
