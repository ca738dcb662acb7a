import { BASELINE } from './baseline.ts'
import type { Connection } from '../database/database.ts'
import { TablesError } from '../database/tablesError.ts'

/*
 * The tables of a database are in one of four states. Only `migrate`, or a DBA with its SQL, creates tables.
 *
 *   missing  None of our tables exists. `migrate` creates them: current.
 *   current  They are of this version's baseline. Clients and workers start.
 *   other    They are of another baseline. Clients, workers and `migrate` refuse them and change nothing.
 *   newer    They are of this baseline, with a recorded change of a newer version that breaks this version, which refuses to start.
 *
 * `JobMigration` has the name of the baseline, and the changes of newer versions.
 */

/**
 * Called by every client and worker at its start, since it must not use tables of another version.
 * @throws TablesError, or an error about the sequence of places if its settings were changed
 */
export async function checkTables(database: Connection): Promise<void> {
  const problem = await findTablesProblem(database)
  if (problem) throw problem
  await checkPlaces(database)
}

/** Floors (work/floors.ts) need places that ascend over all sessions. A cache would give each session a range of places. */
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

/** The reason why this version cannot use the database's tables. Null if it can. */
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
