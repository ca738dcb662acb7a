import { EnvironmentError } from '@roundsman/node-app'
import { QueueSchemaError } from '@roundsman/engine/worker'

/** Why the engine can't start on this database, with the remedy, or null when the error is of another kind. */
export function explainQueueError(error: unknown): EnvironmentError | null {
  if (!(error instanceof QueueSchemaError)) return null
  return new EnvironmentError([`DATABASE_URL: ${error.message}; apply them with pnpm db:migrate`])
}
