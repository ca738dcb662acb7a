import type { Connection } from './database.ts'
import { DEAD_LETTER_INDEX } from './deadLetterSql.ts'
import { STEPS } from './steps.ts'
import { IS_WHOLE_SQL } from './uniqueKeys.ts'

/** The version of its tables that the pg-boss of our dependencies wants. */
export const QUEUE_VERSION = 46

/** How the tables in a database stand. */
export interface TablesState {
  /** Steps that are noted, by this version or a newer one. */
  noted: readonly NotedStep[]
  /** Steps of ours that somebody has done, but not noted: Prisma. */
  found: readonly string[]
  /** Of pg-boss's tables; null: there are none. */
  queueVersion: number | null
  areKeysUnique: boolean
  hasDeadLetterIndex: boolean
}

interface NotedStep {
  [column: string]: unknown
  name: string
  breaks: boolean
}

const FOUND = STEPS.flatMap(({ name, isThere }) => (isThere ? [`('${name}', ${isThere})`] : []))

const FIND_SQL = `
  select to_regclass('"JobMigration"') is not null as "isNoted",
         to_regclass('pgboss.version') is not null as "hasQueue",
         exists (${IS_WHOLE_SQL}) as "areKeysUnique",
         to_regclass('pgboss.${DEAD_LETTER_INDEX}') is not null as "hasDeadLetterIndex",
         array(select name from (values ${FOUND.join(', ')}) step(name, "isThere") where "isThere") as "found"`

export async function readTablesState(database: Connection): Promise<TablesState> {
  const { rows } = await database.query<{
    isNoted: boolean
    hasQueue: boolean
    areKeysUnique: boolean
    hasDeadLetterIndex: boolean
    found: string[]
  }>(FIND_SQL)
  const [row] = rows
  if (row === undefined) throw new Error('PostgreSQL did not tell how its tables stand')
  const { isNoted, hasQueue, areKeysUnique, hasDeadLetterIndex, found } = row
  const noted = isNoted
    ? (await database.query<NotedStep>('select "name", "breaks" from "JobMigration"')).rows
    : []
  const versions = hasQueue
    ? (await database.query<{ version: number }>('select version from pgboss.version')).rows
    : []
  const known = new Set(noted.map(({ name }) => name))
  return {
    noted,
    found: found.filter((name) => !known.has(name)),
    queueVersion: versions[0]?.version ?? null,
    areKeysUnique,
    hasDeadLetterIndex,
  }
}
