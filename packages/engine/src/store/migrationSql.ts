import { getMigrationPlans } from 'pg-boss'
import { DEAD_LETTER_INDEX_SQL, KEEP_ALL_DEAD_LETTERS_SQL } from './deadLetterSql.ts'
import { HISTORY_SQL, indexSql, makeSchemaSql, newTablesSql, noteSql, queueSql } from './migrate.ts'
import { createSchema, type Schema } from './schema.ts'
import { STEPS } from './steps.ts'
import { findTablesProblem, QUEUE_VERSION, type TablesState } from './tablesState.ts'
import { SETTLE_DUPLICATES_SQL, UNIQUE_KEYS_SQL } from './uniqueKeys.ts'

export interface MigrationSqlOptions {
  /** Default `roundsman`. */
  schema?: string | undefined
  /** How the tables stand, as `checkMigrations` has found. Default: there are none. */
  from?: TablesState | undefined
}

/**
 * What `migrate` does, as a script for psql, which sends one statement after the other: for somebody who may create
 * schemas, where the deployment may not. Nothing where nothing is left to do. While it builds our own indexes of the
 * queue's table nobody can enqueue; `migrate` builds them beside the work, and also for queues that have a partition of
 * their own, which this does not know of.
 * @throws TablesError where a newer version has made what is there
 */
export function migrationSql({ schema: name, from }: MigrationSqlOptions = {}): string {
  const schema = createSchema(name)
  const head = `-- Roundsman's tables, in the schema ${schema.name}. For psql -v ON_ERROR_STOP=1, without a transaction around it.\n`
  if (from === undefined || isEmpty(from)) return `${head}${newTablesSql(schema)};\n`
  const problem = findTablesProblem(schema.name, from)
  if (problem?.kind === 'newer') throw problem
  const parts = [...ownSql(from).map((text) => schema.sql(text)), ...queueUpgradeSql(schema, from)]
  if (parts.length === 0) return ''
  return `${[head + makeSchemaSql(schema), ...parts].join(';\n')};\n`
}

function isEmpty({ noted, found, queueVersion }: TablesState): boolean {
  return noted.length + found.length === 0 && queueVersion === null
}

function ownSql({ noted, found }: TablesState): string[] {
  const known = new Set(noted.map((step) => step.name))
  const open = STEPS.filter((step) => !known.has(step.name))
  const parts = open.flatMap((step) => {
    if (found.includes(step.name)) return [noteSql(step)]
    // Not in a transaction: it would wait for itself.
    if (step.index) return [indexSql(step.index, 'concurrently if not exists'), noteSql(step)]
    return ['begin', step.sql ?? '', noteSql(step), 'commit']
  })
  return parts.length === 0 ? [] : [HISTORY_SQL, ...parts]
}

function queueUpgradeSql(
  schema: Schema,
  { queueVersion, areKeysUnique, hasDeadLetterIndex }: TablesState,
): string[] {
  if (queueVersion === null) return [queueSql(schema)]
  const isCurrent = queueVersion === QUEUE_VERSION
  if (isCurrent && areKeysUnique && hasDeadLetterIndex) return []
  const ours = [
    'begin',
    DEAD_LETTER_INDEX_SQL,
    KEEP_ALL_DEAD_LETTERS_SQL,
    ...(areKeysUnique ? [] : [SETTLE_DUPLICATES_SQL, UNIQUE_KEYS_SQL]),
    'commit',
  ].map((text) => schema.sql(text))
  return isCurrent ? ours : [getMigrationPlans(schema.queue, queueVersion), ...ours]
}
