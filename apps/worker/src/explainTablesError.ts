import { EnvironmentError } from '@roundsman/node-app'
import { TablesError } from '@roundsman/engine/client'

/** Turns the engine's refusal of the database's tables into an error with the remedy; null for any other error. */
export function explainTablesError(error: unknown): EnvironmentError | null {
  if (!(error instanceof TablesError)) return null
  const remedy = error.kind === 'newer' ? 'deploy its version' : 'apply them with pnpm db:migrate'
  return new EnvironmentError([`DATABASE_URL: ${error.problem}; ${remedy}`])
}
