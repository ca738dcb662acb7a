import { TablesError } from '@roundsman/engine/client'
import { PoolerError } from '@roundsman/engine/internal'
import type { DatabaseEnvironment } from './acquireDatabase.ts'

/** Explains the engine's refusal of the tables or of a pooler, by the variable and the remedy; null for any other error. */
export function describeTablesError(
  error: unknown,
  { DATABASE_URL, DATA_DIR }: DatabaseEnvironment,
): string | null {
  if (error instanceof PoolerError) return `DATABASE_URL: ${error.message}`
  if (!(error instanceof TablesError)) return null
  const { kind, problem, message } = error
  switch (kind) {
    case 'missing':
      return `DATABASE_URL: ${problem}; apply them with pnpm db:migrate`
    case 'newer':
      return `DATABASE_URL: ${problem}; deploy its version`
    case 'other':
      if (DATABASE_URL !== undefined) return `DATABASE_URL: ${message}`
      return `DATA_DIR: ${problem}; to keep that database and begin with an empty one, run mv ${quoted(DATA_DIR)} ${quoted(`${DATA_DIR}.before`)}`
    default:
      return kind satisfies never
  }
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}
