import { setTimeout as pause } from 'node:timers/promises'
import { checkMigrateOptions } from '../arguments/worker.ts'
import type { HostLogger } from '../job/logger.ts'
import { BASELINE, BASELINE_SQL } from './baseline.ts'
import { containedLog, type ContainedLog } from '../database/containedLog.ts'
import { openDatabase, type Connection, type Database } from '../database/database.ts'
import { mendPlaces } from '../queue/mendPlaces.ts'
import { createSchema, type Schema } from '../database/schema.ts'
import { hasSqlState, INSUFFICIENT_PRIVILEGE, WRONG_STATE } from '../database/sqlState.ts'
import type { TablesError } from '../database/tablesError.ts'
import { findTablesProblem } from './tablesState.ts'
import { tellWaits } from '../database/waitForLocks.ts'

export interface MigrateOptions {
  databaseUrl: string
  /** Created if it is missing. Default `roundsman`. */
  schema?: string | undefined
  /** Default: warnings and errors go to standard error, the rest nowhere. */
  log?: Partial<HostLogger> | undefined
}

/**
 * Creates the engine's tables. After a restore it also moves the sequence of places past the largest place. Run it as a deploy
 * step: workers and clients never change a schema. If several processes call it, one migrates and the others wait. If it was
 * killed, run it again.
 * @returns the names of its changes; empty if nothing was missing
 * @throws ArgumentError if `databaseUrl` is not the address of a database
 * @throws TablesError, and changes nothing. `other`: the tables are of another baseline. `newer`: this version cannot work with
 * the tables of a newer one
 * @throws MigrationDeniedError if the database role may not create the tables
 * @throws MigrationRefusedError if the database's encoding is not UTF-8
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const pool = { applicationName: 'roundsman migrate', poolSize: 1, statementTimeoutMs: null }
  return await withDatabase(checkMigrateOptions(options), pool, async (database, log) => {
    const { schema } = database
    try {
      let done: string[] | null
      while ((done = await database.transaction(makeTables)) === null) await pause(ASK_EVERY_MS)
      if (done.includes(BASELINE))
        log.info({ schema: schema.name, baseline: BASELINE }, 'tables made')
      return done
    } catch (error) {
      if (hasSqlState(error, INSUFFICIENT_PRIVILEGE))
        throw new MigrationDeniedError(schema.name, error)
      if (hasSqlState(error, WRONG_STATE))
        throw new MigrationRefusedError(error.message, { cause: error })
      throw error
    }
  })
}

const ASK_EVERY_MS = 100

/**
 * Creates missing tables. Null while another process does so. The lock belongs to the transaction, since a transaction pooler
 * would keep a session's lock. No statement waits for it: a waiting statement would delay `create index concurrently`, and be
 * reported.
 */
async function makeTables(tx: Connection): Promise<string[] | null> {
  const { schema } = tx
  const { rows } = await tx.query<{ isOurs: boolean }>(
    'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "isOurs"',
    [`roundsman migrates ${schema.name}`],
  )
  if (!rows[0]?.isOurs) return null
  const problem = await findTablesProblem(tx)
  if (problem === null) return (await mendPlaces(tx)) ? ['JobPlace'] : []
  if (problem.kind !== 'missing') throw problem
  await tx.query({ foreignText: `${makeSchemaSql(schema)};\n${newTablesSql(schema)}` })
  return [BASELINE]
}

/**
 * Runs `work` on a separate pool, and logs the sessions whose locks it waits for. `statementTimeoutMs`: null if a long queue
 * may exceed any time-out.
 */
export async function withDatabase<Value>(
  given: MigrateOptions,
  options: { applicationName: string; poolSize: number; statementTimeoutMs?: null },
  work: (database: Database, log: ContainedLog) => Promise<Value>,
): Promise<Value> {
  const { databaseUrl: url, schema, log: hostLog } = given
  const log = containedLog(hostLog)
  // One more connection finds the locks that the others wait for.
  const poolSize = options.poolSize + 1
  const database = openDatabase({ ...options, poolSize, url, schema: createSchema(schema), log })
  const stopTelling = tellWaits((foreignText) => database.query({ foreignText }), {
    application: options.applicationName,
    log,
  })
  try {
    return await work(database, log)
  } finally {
    await stopTelling()
    await database.close()
  }
}

/** The database role may not create the tables. */
export class MigrationDeniedError extends Error {
  override readonly name = 'MigrationDeniedError'

  constructor(schema: string, cause: Error) {
    super(
      `This role may not make the tables in the schema ${schema} (${cause.message}); migrate as one that may, or have a DBA run what npx roundsman migrate --sql prints`,
      { cause },
    )
  }
}

/** The database, or its content, cannot be used. Nothing was changed. */
export class MigrationRefusedError extends Error {
  override readonly name = 'MigrationRefusedError'
}

/**
 * Returns the error with which a process of this version would refuse to start, or null: for CI or before a deployment. It
 * changes nothing.
 */
export async function checkMigrations(options: MigrateOptions): Promise<TablesError | null> {
  const pool = { applicationName: 'roundsman check', poolSize: 1 }
  return await withDatabase(checkMigrateOptions(options), pool, findTablesProblem)
}

/**
 * Returns the changes of `migrate` in an empty schema as a script for psql, for a DBA whose deployments may not create schemas.
 */
export function migrationSql({ schema: name }: { schema?: string | undefined } = {}): string {
  const schema = createSchema(name)
  return `-- Roundsman's tables, in the schema ${schema.name}. For psql -v ON_ERROR_STOP=1.
begin;
${makeSchemaSql(schema)};
${newTablesSql(schema)};
commit;
`
}

/**
 * PostgreSQL requires the right to create schemas for `create schema if not exists`, even if the schema exists. In a database
 * that is not UTF-8, a payload with a character outside its encoding would abort the caller's transaction.
 */
export function makeSchemaSql({ name }: Schema): string {
  return `
  do $$ begin
    if current_setting('server_encoding') <> 'UTF8' then
      raise exception using errcode = '${WRONG_STATE}', message = format(
        'The database %s has the encoding %s, which cannot hold every text. Create another one, as with: create database app encoding ''UTF8'' template template0',
        current_database(), current_setting('server_encoding'));
    end if;
    if not exists (select from pg_namespace where nspname = '${name}') then
      create schema "${name}";
    end if;
  end $$`
}

/**
 * The statements that create all tables and record their baseline. It breaks versions of other baselines, so they refuse the
 * tables.
 */
export function newTablesSql(schema: Schema): string {
  return schema.sql(
    `${BASELINE_SQL}\ninsert into "JobMigration" ("name", "breaks") values ('${BASELINE}', true)`,
  )
}
