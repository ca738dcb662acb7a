import { EnvironmentError } from '@roundsman/process'

/** Why there is no embedded database, with the remedy, or null when the error is of another kind. */
export function explainEmbeddedError(error: unknown): EnvironmentError | null {
  // What was foreseen explains itself; of anything else the place matters.
  if (!(error instanceof Error) || error.name !== 'Error') return null
  return new EnvironmentError([`DATA_DIR: ${error.message}`])
}
