import { MigrationDeniedError, MigrationRefusedError } from '@roundsman/engine/migrate'
import { TablesError } from '@roundsman/engine/client'
import { PoolerError } from '@roundsman/engine/internal'
import { ForeseenError } from '../command/runCommand.ts'
import { callOf } from '../init/findTooling.ts'

/** Error codes of PostgreSQL and of the network. Such errors are printed without a stack. */
const OF_DATABASE = /^(E[A-Z]{3,}|[0-9A-Z]{5})$/

/** Converts errors of the database or its tables to ForeseenError, with a message for people. */
export async function asForeseen<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const problem = explainDatabaseError(error)
    if (problem === null) throw error
    throw new ForeseenError(problem.replaceAll('npx roundsman ', await callOf('')), {
      cause: error,
    })
  }
}

const UNDEFINED_TABLE = '42P01'

/** Explains an error in one line, with a remedy if there is one. Null for an error of another kind. */
function explainDatabaseError(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  // If several addresses refuse a connection, the reasons are inside.
  if (error instanceof AggregateError) return explainDatabaseError(error.errors[0])
  const isExplained = [TablesError, PoolerError, MigrationDeniedError, MigrationRefusedError].some(
    (known) => error instanceof known,
  )
  if (isExplained) return error.message
  const { code = '' } = error as NodeJS.ErrnoException
  if (code === UNDEFINED_TABLE) {
    return 'the tables are not there yet; npx roundsman migrate makes them'
  }
  // The message of `run` begins with its subject.
  const reason = error.message.trim().replace(/^The database: /, '')
  return OF_DATABASE.test(code) ? `the database can not be used: ${reason}` : null
}
