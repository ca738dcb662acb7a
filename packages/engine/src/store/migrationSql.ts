import { HISTORY_SQL, makeSchemaSql, moveScript, newTablesSql, noteSql } from './migrate.ts'
import { createSchema } from './schema.ts'
import { STEPS } from './steps.ts'
import { changeTablesSql, MAX_TRIES_OF_SCRIPT } from './takeLocks.ts'
import { findTablesProblem, listOpenSteps, type TablesState } from './tablesState.ts'

export interface MigrationSqlOptions {
  /** Default `roundsman`. */
  schema?: string | undefined
  /** The state that `checkMigrations` returned. Default: no tables. */
  from?: TablesState | undefined
}

/**
 * What `migrate` does, as a script for psql, for a DBA where the deployment may not create schemas. Empty when nothing is
 * missing.
 * @throws TablesError `newer` when a newer version's tables would break this one
 */
export function migrationSql({ schema: name, from }: MigrationSqlOptions = {}): string {
  const schema = createSchema(name)
  const head = `-- Roundsman's tables, in the schema ${schema.name}. For psql -v ON_ERROR_STOP=1, without a transaction around it.\n`
  if (from === undefined || (from.noted.length === 0 && !from.isBefore))
    return `${head}${newTablesSql(schema)};\n`
  const problem = findTablesProblem(schema.name, from)
  if (problem?.kind === 'newer') throw problem
  const moved = from.isBefore ? moveScript(schema, MAX_TRIES_OF_SCRIPT) : []
  const open = listOpenSteps(from.isBefore ? [STEPS[0]] : from.noted)
  if (moved.length + open.length === 0) return ''
  const parts = open.flatMap((step) => changeTablesSql(step.sql, noteSql(step)))
  const own = open.length === 0 ? [] : [HISTORY_SQL, ...parts].map((text) => schema.sql(text))
  return `${[head + makeSchemaSql(schema), ...moved, ...own].join(';\n')};\n`
}
