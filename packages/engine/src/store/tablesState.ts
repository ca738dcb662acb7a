import { BASELINE } from './baseline.ts'
import type { Connection } from './database.ts'

/*
 * The tables of a database are in one of four states. Only `migrate`, or a DBA with its SQL, makes tables.
 *
 *   missing  None of our tables is there. `migrate` makes them: current.
 *   current  They are of this version's baseline. Clients and workers start.
 *   other    They are of another baseline. Clients, workers and `migrate` refuse them and change nothing.
 *   newer    They are of this baseline, and a newer version has noted a change that breaks this version, which refuses to start.
 *
 * `JobMigration` names the baseline, and the changes of newer versions.
 */

/**
 * The tables in a database do not fit this version of the engine.
 *   missing  None of our tables is there. `migrate` creates them.
 *   other    They are of another baseline, and stay as they are; `what` has its name, if it has one.
 *   newer    A newer version has made changes with `breaks`; `what` lists them. Only an update of this process helps.
 *            Other changes of a newer version are no error.
 */
export class TablesError extends Error {
  override readonly name = 'TablesError'
  readonly kind: 'missing' | 'other' | 'newer'
  readonly schema: string
  readonly what: readonly string[]
  /** The message without the remedy, for hosts that name a remedy of their own. */
  readonly problem: string

  constructor(kind: TablesError['kind'], schema: string, what: readonly string[], cause?: unknown) {
    const [problem, remedy] = describe(kind, schema, what)
    super(`${problem}; ${remedy}`, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.schema = schema
    this.what = what
    this.problem = problem
  }
}

function describe(
  kind: TablesError['kind'],
  schema: string,
  what: readonly string[],
): [problem: string, remedy: string] {
  const tables = `Roundsman's tables in the schema ${schema} of this database`
  switch (kind) {
    case 'missing':
      return [`${tables} are missing`, 'run npx roundsman migrate']
    case 'other':
      return [
        `${tables} are of another baseline, ${what[0] ?? 'which has no name'}, and were not changed; this version needs ${BASELINE}`,
        // A schema's name has no quotation mark.
        `npx roundsman export --schema '${schema}' > roundsman.jsonl saves what they hold, then let this version have an empty schema or database`,
      ]
    case 'newer':
      return [
        `${tables} are of a newer version, with which this version must not work: ${what.join(', ')}`,
        'update the engine of this process',
      ]
    default:
      return kind satisfies never
  }
}

/**
 * Called by every client and worker when it starts, which must not work with tables that do not fit.
 * @throws TablesError, or an error that names the sequence of places, if somebody has changed it
 */
export async function checkTables(database: Connection): Promise<void> {
  const problem = await findTablesProblem(database)
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
export async function findTablesProblem(database: Connection): Promise<TablesError | null> {
  const { name: schema } = database.schema
  const found = await database.query<{ hasRuns: boolean; hasNames: boolean }>(FIND_SQL)
  const { hasRuns = false, hasNames = false } = found.rows[0] ?? {}
  const noted = hasNames ? (await database.query<Noted>(NAMES_SQL)).rows : []
  const names = noted.map(({ name }) => name)
  if (!names.includes(BASELINE)) {
    return hasRuns || names.length > 0
      ? new TablesError('other', schema, names.slice(-1))
      : new TablesError('missing', schema, [])
  }
  const breaking = noted.filter(({ name, breaks }) => breaks && name !== BASELINE)
  if (breaking.length === 0) return null
  return new TablesError(
    'newer',
    schema,
    breaking.map(({ name }) => name),
  )
}

interface Noted {
  [column: string]: unknown
  name: string
  breaks: boolean
}

const FIND_SQL = `
  select to_regclass('"JobRun"') is not null as "hasRuns", to_regclass('"JobMigration"') is not null as "hasNames"`

const NAMES_SQL = `select "name", "breaks" from "JobMigration" order by "appliedAt", "name"`
