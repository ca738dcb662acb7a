import { MigrationDeniedError, TablesError } from '@roundsman/engine/migrate'
import { ForeseenError } from '../command/runCommand.ts'

/** What PostgreSQL and the network say of a database, by code: told without a stack. */
const OF_DATABASE = /^(E[A-Z]{3,}|[0-9A-Z]{5})$/

/** What is wrong with the database or its tables, in the words of the commands. */
export async function asForeseen<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const problem = explainDatabaseError(error)
    throw problem === null ? error : new ForeseenError(problem, { cause: error })
  }
}

const UNDEFINED_TABLE = '42P01'

/** In one line, with the remedy where there is one. Null: the error is of another kind. */
export function explainDatabaseError(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  // A refused connection to several addresses has its reasons inside.
  if (error instanceof AggregateError) return explainDatabaseError(error.errors[0])
  if (error instanceof TablesError || error instanceof MigrationDeniedError) return error.message
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === UNDEFINED_TABLE) {
    return 'the tables are not there yet; npx roundsman migrate makes them'
  }
  return OF_DATABASE.test(code) ? `the database can not be used: ${error.message.trim()}` : null
}
