import type { Connection } from './database.ts'
import { DEAD_LETTER_INDEX } from './deadLetterSql.ts'
import { STEPS } from './steps.ts'
import { IS_WHOLE_SQL, UNIQUE_KEYS_INDEX } from './uniqueKeys.ts'

/*
 * The tables of a database are in one of four states. Nobody but `migrate`, or a DBA with its SQL, moves them on.
 *
 *   missing  None of our tables is there. `migrate` makes them, and pg-boss's: current.
 *   older    Something that this version needs is missing, also after a `migrate` that was killed. `migrate` again: current.
 *   current  Clients and workers of this version start. A newer version's `migrate` leaves it current, unless
 *            what it did breaks this one.
 *   newer    A newer version's `migrate` did what breaks this version, which refuses to start. Nothing leads back.
 *
 * Each step is open (not done), found (done by one of Prisma's migrations, not noted) or noted in `JobMigration`. `migrate`
 * does an open step and notes it in the same transaction (an index is built first, and noted once it is whole). It notes a
 * found step without doing it. A noted one stays.
 */

/** The version of pg-boss's tables that the pg-boss in our dependencies needs. */
export const QUEUE_VERSION = 46

/** What a database has of our tables and of pg-boss's. */
export interface TablesState {
  /** The steps listed in `JobMigration`, by this version or a newer one. */
  noted: readonly NotedStep[]
  /** Our steps that Prisma's migrations have done, and that `JobMigration` does not list. */
  found: readonly string[]
  /** The version of pg-boss's tables, or null when there are none. */
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
 * The tables in a database do not fit this version of the engine.
 *   missing  None of our tables is there. `migrate` creates them.
 *   older    A step, the queue's version or the index of unique keys is missing; `what` lists them. `migrate` adds them.
 *   newer    A newer version has done a step with `breaks`, or upgraded pg-boss's tables; `what` lists them. Only an update
 *            of this process helps. A newer version's other steps are no error.
 */
export class TablesError extends Error {
  override readonly name = 'TablesError'
  readonly kind: 'missing' | 'older' | 'newer'
  readonly schema: string
  readonly what: readonly string[]
  /** The message without the remedy, for hosts that name a remedy of their own. */
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
      return `${tables} are of a newer version, with which this version must not work: ${what.join(', ')}`
    default:
      return kind satisfies never
  }
}

/**
 * Called by every client and worker when it starts, which must not work with tables that do not fit.
 * @throws TablesError
 */
export async function checkTables(database: Connection): Promise<void> {
  const problem = findTablesProblem(database.schema.name, await readTablesState(database))
  if (problem) throw problem
}

/** Why this version can't work on the database's tables; null when it can. */
export function findTablesProblem(schema: string, state: TablesState): TablesError | null {
  const newer = listNewer(state)
  if (newer.length > 0) return new TablesError('newer', schema, newer)
  const missing = listMissing(state)
  if (missing.length === 0) return null
  const isThere = state.noted.length + state.found.length > 0
  return new TablesError(isThere ? 'older' : 'missing', schema, missing)
}

/** Returns what a newer version has made that breaks this one. */
function listNewer({ noted, queueVersion }: TablesState): string[] {
  const ours = new Set(STEPS.map(({ name }) => name))
  const steps = noted.filter(({ name, breaks }) => breaks && !ours.has(name))
  const isQueueNewer = queueVersion !== null && queueVersion > QUEUE_VERSION
  return [...steps.map(({ name }) => name), ...(isQueueNewer ? [`queue ${queueVersion}`] : [])]
}

/** Returns what this version needs and the database lacks, in the order in which `migrate` makes it. */
function listMissing(state: TablesState): string[] {
  const there = new Set([...state.noted.map(({ name }) => name), ...state.found])
  const missing = STEPS.flatMap(({ name }) => (there.has(name) ? [] : [name]))
  if ((state.queueVersion ?? 0) < QUEUE_VERSION) missing.push(`queue ${QUEUE_VERSION}`)
  else if (!state.areKeysUnique) missing.push(UNIQUE_KEYS_INDEX)
  return missing
}

/** Reads which steps are done, and how pg-boss's tables stand. */
export async function readTablesState(database: Connection): Promise<TablesState> {
  const { rows } = await database.query<{
    isNoted: boolean
    hasQueue: boolean
    areKeysUnique: boolean
    hasDeadLetterIndex: boolean
    found: string[]
  }>(FIND_SQL)
  const [row] = rows
  if (row === undefined)
    throw new Error('PostgreSQL returned nothing about the state of the tables')
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
