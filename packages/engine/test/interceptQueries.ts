import { sqlOf, type Database, type Result, type Statement } from '../src/database/database.ts'
import { createSchema } from '../src/database/schema.ts'

type CarryOut = () => Promise<Result<never>>

/** The database, whose statements outside of its transactions a test carries out, holds up or lets fail. */
export function interceptQueries(
  database: Database,
  intercept: (
    carryOut: CarryOut,
    statement: Statement,
    values: readonly unknown[],
  ) => Promise<Result<never>>,
): Database {
  return {
    ...database,
    query: (statement, values = []) =>
      intercept(() => database.query<never>(statement, values), statement, values),
  }
}

export const textOf = (statement: Statement): string => sqlOf(createSchema('public'), statement)

/** Whether a statement claims work. */
export const isClaim = (statement: Statement): boolean =>
  textOf(statement).includes('delete from "JobWork"')
