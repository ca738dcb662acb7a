import type { Connection } from './database.ts'
import { DEAD_LETTER_INDEX } from './deadLetterSql.ts'
import { STEPS } from './steps.ts'
import { IS_WHOLE_SQL, UNIQUE_KEYS_INDEX } from './uniqueKeys.ts'

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

/**
 * The tables in a database do not go with this version of the engine.
 *   missing  there are none
 *   older    something of this version is missing: `what` says what
 *   newer    a newer version has made something, named in `what`, beside which this one would do wrong. Beside steps of
 *            a newer version that break nothing it goes on, and starts
 */
export class TablesError extends Error {
  override readonly name = 'TablesError'
  readonly kind: 'missing' | 'older' | 'newer'
  readonly schema: string
  readonly what: readonly string[]
  /** The message without the remedy: a host may have one of its own. */
  readonly problem: string

  constructor(kind: TablesError['kind'], schema: string, what: readonly string[], cause?: unknown) {
    const problem = describe(kind, schema, what)
    const remedy =
      kind === 'newer' ? 'update the engine of this process' : 'run npx roundsman migrate'
    super(`${problem}; ${remedy}`, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.schema = schema
    this.what = what
    this.problem = problem
  }
}

function describe(kind: TablesError['kind'], schema: string, what: readonly string[]): string {
  const tables = `Roundsman's tables in the schema ${schema} of this database`
  switch (kind) {
    case 'missing':
      return `${tables} are missing`
    case 'older':
      return `${tables} are of an older version: they lack ${what.join(', ')}`
    case 'newer':
      return `${tables} are of a newer version, beside which this one would do wrong: ${what.join(', ')}`
    default:
      return kind satisfies never
  }
}

/** @throws TablesError when a client or a worker of this version must not work with these tables */
export async function checkTables(database: Connection): Promise<void> {
  const problem = findTablesProblem(database.schema.name, await readTablesState(database))
  if (problem) throw problem
}

export function findTablesProblem(schema: string, state: TablesState): TablesError | null {
  const newer = listNewer(state)
  if (newer.length > 0) return new TablesError('newer', schema, newer)
  const missing = listMissing(state)
  if (missing.length === 0) return null
  const isThere = state.noted.length + state.found.length > 0
  return new TablesError(isThere ? 'older' : 'missing', schema, missing)
}

/** What a newer version has made that breaks this one. */
function listNewer({ noted, queueVersion }: TablesState): string[] {
  const ours = new Set(STEPS.map(({ name }) => name))
  const steps = noted.filter(({ name, breaks }) => breaks && !ours.has(name))
  const isQueueNewer = queueVersion !== null && queueVersion > QUEUE_VERSION
  return [...steps.map(({ name }) => name), ...(isQueueNewer ? [`queue ${queueVersion}`] : [])]
}

/** What of this version there is not, in the order in which it is made. */
function listMissing(state: TablesState): string[] {
  const there = new Set([...state.noted.map(({ name }) => name), ...state.found])
  const missing = STEPS.flatMap(({ name }) => (there.has(name) ? [] : [name]))
  if ((state.queueVersion ?? 0) < QUEUE_VERSION) missing.push(`queue ${QUEUE_VERSION}`)
  else if (!state.areKeysUnique) missing.push(UNIQUE_KEYS_INDEX)
  return missing
}

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
