import type { Connection } from './database.ts'
import { STEPS } from './steps.ts'

/*
 * The tables of a database are in one of four states. Nobody but `migrate`, or a DBA with its SQL, moves them on.
 *
 *   missing  None of our tables is there. `migrate` makes them: current.
 *   older    They are of 0.2, or lack a step of this version. `migrate`: current.
 *   current  Clients and workers of this version start. A newer version's `migrate` leaves it current, unless
 *            what it did breaks this one.
 *   newer    A newer version's `migrate` did what breaks this version, which refuses to start. Nothing leads back.
 *
 * Each step is open, or noted in `JobMigration`. `migrate` does an open step and notes it in the same transaction.
 */

/** What a database has of our tables. */
export interface TablesState {
  /** The steps listed in `JobMigration`, by any version. */
  noted: readonly NotedStep[]
  /** Whether the tables are those of a version before 0.3. */
  isBefore: boolean
}

interface NotedStep {
  [column: string]: unknown
  name: string
  breaks: boolean
}

/**
 * The tables in a database do not fit this version of the engine.
 *   missing  None of our tables is there. `migrate` creates them.
 *   older    They are of 0.2, or a step is missing; `what` lists what they lack. `migrate` adds it.
 *   newer    A newer version has done a step with `breaks`; `what` lists them. Only an update of this process helps.
 *            Other steps of a newer version are no error.
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
 * @throws TablesError, or an error that names the sequence of places, if somebody has changed it
 */
export async function checkTables(database: Connection): Promise<void> {
  const problem = findTablesProblem(database.schema.name, await readTablesState(database))
  if (problem) throw problem
  await checkPlaces(database)
}

/** Floors (work/floors.ts) rely on places that ascend over all sessions. A cache gives each session places of its own. */
async function checkPlaces(database: Connection): Promise<void> {
  const { rows } = await database.query(
    `select from pg_sequence where seqrelid = to_regclass('"JobPlace"') and (seqcache <> 1 or seqincrement < 1 or seqcycle)`,
  )
  if (rows.length === 0) return
  const sequence = `"${database.schema.name}"."JobPlace"`
  throw new Error(
    `Somebody has changed the sequence ${sequence}: its values no longer ascend, so that workers would pass over work; run alter sequence ${sequence} increment 1 cache 1 no cycle, and then restart every process that enqueues`,
  )
}

/** Why this version can't work on the database's tables; null when it can. */
export function findTablesProblem(schema: string, { noted, isBefore }: TablesState) {
  const known = new Set(STEPS.map(({ name }) => name))
  const isNewer = ({ name, breaks }: NotedStep) => breaks && !known.has(name) && !isBefore
  const newer = noted.filter(isNewer).map(({ name }) => name)
  if (newer.length > 0) return new TablesError('newer', schema, newer)
  const open = listOpenSteps(noted).map(({ name }) => name)
  if (open.length === 0) return null
  return new TablesError(noted.length > 0 || isBefore ? 'older' : 'missing', schema, open)
}

/** The steps that the database lacks, in the order in which `migrate` does them. */
export function listOpenSteps(noted: readonly { name: string }[]) {
  const done = new Set(noted.map(({ name }) => name))
  return STEPS.filter(({ name }) => !done.has(name))
}

/** Reads which steps are done, and whether the tables are of a version before 0.3. */
export async function readTablesState(database: Connection): Promise<TablesState> {
  const { rows } = await database.query<{ isNoted: boolean; isBefore: boolean }>(FIND_SQL)
  const { isNoted = false, isBefore = false } = rows[0] ?? {}
  if (!isNoted) return { noted: [], isBefore }
  const noted = await database.query<NotedStep>('select "name", "breaks" from "JobMigration"')
  return { noted: noted.rows, isBefore }
}

const FIND_SQL = `
  select to_regclass('"JobMigration"') is not null as "isNoted",
         exists (
           select from pg_attribute
           where attrelid = to_regclass('"JobRun"') and attname = 'queueJobId' and not attisdropped
         ) as "isBefore"`
