import { setTimeout as pause } from 'node:timers/promises'
import type { HostLogger } from '../job/logger.ts'
import { containedLog, type ContainedLog } from './containedLog.ts'
import { openDatabase, type Connection, type Database } from './database.ts'
import { createSchema, type Schema } from './schema.ts'
import { hasSqlState, INSUFFICIENT_PRIVILEGE } from './sqlState.ts'
import { STEPS, type Step } from './steps.ts'
import { changeTables, tellWaits } from './takeLocks.ts'
import {
  findTablesProblem,
  listOpenSteps,
  readTablesState,
  type TablesError,
  type TablesState,
} from './tablesState.ts'

export interface MigrateOptions {
  databaseUrl: string
  /** Created when it is missing. Default `roundsman`. */
  schema?: string | undefined
  /** Default: warnings and errors go to standard error, the rest nowhere. */
  log?: Partial<HostLogger> | undefined
}

/**
 * Creates all tables that the engine uses, or upgrades them from any version since 0.2. Run it as a deploy step: workers and
 * clients may not change a schema. Of several processes one migrates and the others wait. Run it again after it was killed.
 * @returns the names of what it has done; empty when nothing was missing
 * @throws TablesError `newer` when a newer version's tables would break this one
 * @throws MigrationDeniedError when the database role may not create the tables
 */
export async function migrate({
  databaseUrl,
  schema: name,
  log: hostLog,
}: MigrateOptions): Promise<string[]> {
  const log = containedLog(hostLog)
  const schema = createSchema(name)
  const database = openDatabase({
    url: databaseUrl,
    applicationName: APPLICATION,
    schema,
    // The lock, the step, and whoever looks for what it waits for.
    poolSize: 3,
    // Moving a long queue takes longer than any time-out.
    statementTimeoutMs: null,
    log,
  })
  const stopTelling = tellWaits((foreignText) => database.query({ foreignText }), {
    application: APPLICATION,
    log,
  })
  try {
    return await withMigrationLock(database, () => migrateUnderLock(database, log))
  } catch (error) {
    if (hasSqlState(error, INSUFFICIENT_PRIVILEGE))
      throw new MigrationDeniedError(schema.name, error)
    throw error
  } finally {
    await stopTelling()
    await database.close()
  }
}

const APPLICATION = 'roundsman migrate'

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

export interface TablesCheck {
  /** The error with which a process of this version would refuse to start, or null. */
  problem: TablesError | null
  state: TablesState
}

/**
 * Tells whether `migrate` has anything to do that this version needs, for CI or before a deployment. It changes nothing.
 */
export async function checkMigrations({
  databaseUrl,
  schema: name,
  log,
}: MigrateOptions): Promise<TablesCheck> {
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman check',
    schema: createSchema(name),
    poolSize: 1,
    log: containedLog(log),
  })
  try {
    const state = await readTablesState(database)
    return { problem: findTablesProblem(database.schema.name, state), state }
  } finally {
    await database.close()
  }
}

const ASK_EVERY_MS = 100

/**
 * Asks for the lock every 100 ms: a waiting statement would hold a snapshot, for which the other's `create index
 * concurrently` waits. The lock is the transaction's, since a transaction pooler would keep a session's.
 */
async function withMigrationLock<Value>(
  database: Database,
  work: () => Promise<Value>,
): Promise<Value> {
  for (;;) {
    const done = await database.transaction(async (tx) => {
      await tx.query('set local idle_in_transaction_session_timeout = 0')
      // No parameters here: with them the driver leaves a portal open, whose snapshot holds up `create index concurrently`.
      const { rows } = await tx.query<{ isOurs: boolean }>(
        `select pg_try_advisory_xact_lock(hashtextextended('roundsman migrates ${database.schema.name}', 0)) as "isOurs"`,
      )
      return rows[0]?.isOurs ? { value: await work() } : null
    })
    if (done) return done.value
    await pause(ASK_EVERY_MS)
  }
}

/** Does what the database lacks, step by step, and returns the names of what it did. */
async function migrateUnderLock(database: Database, log: ContainedLog): Promise<string[]> {
  const { schema } = database
  const state = await readTablesState(database)
  const problem = findTablesProblem(schema.name, state)
  if (problem?.kind === 'newer') throw problem
  const open = listOpenSteps(state.noted)
  if (open.length > 0) {
    await database.query({ foreignText: makeSchemaSql(schema) })
    await changeTables(database, HISTORY_SQL)
  }
  for (const step of open) {
    await changeTables(database, step.sql, noteSql(step))
    log.info({ schema: schema.name, step: step.name }, 'migration step done')
  }
  return open.map(({ name }) => name)
}

export const HISTORY_SQL = `
  create table if not exists "JobMigration" (
    "name" text primary key,
    "breaks" boolean not null,
    "appliedAt" timestamptz(3) not null default now()
  )`

/** The whole script for an empty schema. */
export function newTablesSql(schema: Schema): string {
  const steps = STEPS.flatMap((step) => [step.sql, noteSql(step)])
  const ours = ['begin', HISTORY_SQL, ...steps, 'commit'].join(';\n')
  return `${makeSchemaSql(schema)};\n${schema.sql(ours)}`
}

/** PostgreSQL demands the right to create schemas from `create schema if not exists`, even when the schema is there. */
export function makeSchemaSql({ name }: Schema): string {
  return `
  do $$ begin
    if not exists (select from pg_namespace where nspname = '${name}') then
      create schema "${name}";
    end if;
  end $$`
}

/** The statement that notes a step as done. */
export function noteSql({ name, breaks }: Step): string {
  return `insert into "JobMigration" ("name", "breaks") values ('${name}', ${breaks})`
}
