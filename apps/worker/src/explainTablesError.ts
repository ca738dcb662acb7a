import { EnvironmentError } from '@roundsman/node-app'
import { TablesError } from '@roundsman/engine/worker'

/** Why the engine can't start on this database, with the remedy, or null when the error is of another kind. */
export function explainTablesError(error: unknown): EnvironmentError | null {
  if (!(error instanceof TablesError)) return null
  const remedy = error.kind === 'newer' ? 'deploy its version' : 'apply them with pnpm db:migrate'
  return new EnvironmentError([`DATABASE_URL: ${error.problem}; ${remedy}`])
}
