import { getMigrationPlans } from 'pg-boss'
import { DEAD_LETTER_INDEX_SQL, KEEP_ALL_DEAD_LETTERS_SQL } from './deadLetterSql.ts'
import { HISTORY_SQL, indexSql, makeSchemaSql, newTablesSql, noteSql, queueSql } from './migrate.ts'
import { createSchema, type Schema } from './schema.ts'
import { STEPS } from './steps.ts'
import { changeTablesSql, waitBriefly } from './takeLocks.ts'
import { findTablesProblem, QUEUE_VERSION, type TablesState } from './tablesState.ts'
import { SETTLE_DUPLICATES_SQL, UNIQUE_KEYS_SQL } from './uniqueKeys.ts'

export interface MigrationSqlOptions {
  /** Default `roundsman`. */
  schema?: string | undefined
  /** The state that `checkMigrations` returned. Default: no tables. */
  from?: TablesState | undefined
}

/**
 * What `migrate` does, as a script for psql, for a DBA where the deployment may not create schemas. Empty when nothing is
 * missing. While it builds our indexes of the queue's table nobody can enqueue, and it does not know of queues with a
 * partition of their own; `migrate` builds beside running work, for all queues.
 * @throws TablesError `newer` when a newer version's tables would break this one
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
    // Outside of a transaction: PostgreSQL refuses `concurrently` inside one. First goes what an interrupted script left.
    if (step.index)
      return [
        `drop index concurrently if exists roundsman."${step.index.name}"`,
        ...indexSql(step.index, 'concurrently'),
        noteSql(step),
      ]
    return changeTablesSql(step.sql ?? '', noteSql(step))
  })
  return parts.length === 0 ? [] : [HISTORY_SQL, ...parts]
}

/** The statements that bring pg-boss's tables up to date, with our indexes on them; none when they are. */
function queueUpgradeSql(
  schema: Schema,
  { queueVersion, areKeysUnique, hasDeadLetterIndex }: TablesState,
): string[] {
  if (queueVersion === null) return [queueSql(schema)]
  const isCurrent = queueVersion === QUEUE_VERSION
  if (isCurrent && areKeysUnique && hasDeadLetterIndex) return []
  const ours = [
    DEAD_LETTER_INDEX_SQL,
    KEEP_ALL_DEAD_LETTERS_SQL,
    ...(areKeysUnique ? [] : [SETTLE_DUPLICATES_SQL, UNIQUE_KEYS_SQL]),
  ].join(';\n')
  const parts = changeTablesSql(ours).map((text) => schema.sql(text))
  return isCurrent ? parts : [waitBriefly(getMigrationPlans(schema.queue, queueVersion)), ...parts]
}
