import { setTimeout as pause } from 'node:timers/promises'
import { checkMigrateOptions } from '../arguments/worker.ts'
import type { HostLogger } from '../job/logger.ts'
import { containedLog, type ContainedLog } from './containedLog.ts'
import { openDatabase, type Database } from './database.ts'
import { foreseeSql, LAST_STEP_BEFORE, moveSql, type Foreseen } from './fromBefore.ts'
import { createSchema, type Schema } from './schema.ts'
import { hasSqlState, INSUFFICIENT_PRIVILEGE, OBJECT_IN_USE, WRONG_STATE } from './sqlState.ts'
import { STEPS, type Step } from './steps.ts'
import { changeTables, LIMIT_WAITS_SQL, tellWaits, tryUntilFree } from './takeLocks.ts'
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
 * @throws ArgumentError when `databaseUrl` is no address of a database
 * @throws TablesError `newer` when a newer version's tables would break this one
 * @throws MigrationDeniedError when the database role may not create the tables
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  // The lock, and the step.
  const pool = { applicationName: 'roundsman migrate', poolSize: 2, statementTimeoutMs: null }
  return await withDatabase(checkMigrateOptions(options), pool, async (database, log) => {
    try {
      return await withMigrationLock(database, () => migrateUnderLock(database, log))
    } catch (error) {
      if (hasSqlState(error, INSUFFICIENT_PRIVILEGE))
        throw new MigrationDeniedError(database.schema.name, error)
      if (hasSqlState(error, OBJECT_IN_USE) || hasSqlState(error, WRONG_STATE))
        throw new MigrationRefusedError(error.message, { cause: error })
      throw error
    }
  })
}

/**
 * Works on a pool of its own, and says in the log for whom that waits. `statementTimeoutMs`: null where a long queue takes longer
 * than any time-out.
 */
export async function withDatabase<Value>(
  given: MigrateOptions,
  options: { applicationName: string; poolSize: number; statementTimeoutMs?: null },
  work: (database: Database, log: ContainedLog) => Promise<Value>,
): Promise<Value> {
  const { databaseUrl: url, schema, log: hostLog } = given
  const log = containedLog(hostLog)
  // And whoever looks for what it waits for.
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

/** Nothing was changed: what is to be moved is still in use, or of a version that nobody can move. */
export class MigrationRefusedError extends Error {
  override readonly name = 'MigrationRefusedError'
}

export interface TablesCheck {
  /** The error with which a process of this version would refuse to start, or null. */
  problem: TablesError | null
  state: TablesState
}

/**
 * Tells whether `migrate` has anything to do that this version needs, for CI or before a deployment. It changes nothing.
 */
export async function checkMigrations(options: MigrateOptions): Promise<TablesCheck> {
  const pool = { applicationName: 'roundsman check', poolSize: 1 }
  return await withDatabase(checkMigrateOptions(options), pool, async (database) => {
    const state = await readTablesState(database)
    return { problem: findTablesProblem(database.schema.name, state), state }
  })
}

/** How long a move from 0.2 takes, and what it needs beside the present tables. */
export interface ForeseenMove extends Foreseen {
  seconds: number
  diskBytes: number
}

/**
 * Counts what `migrate` would move from tables of 0.2, without a lock. Null when the tables are not of 0.2.
 * @throws MigrationRefusedError when they are older
 */
export async function foreseeMove(options: MigrateOptions): Promise<ForeseenMove | null> {
  const pool = { applicationName: 'roundsman check', poolSize: 1, statementTimeoutMs: null }
  return await withDatabase(checkMigrateOptions(options), pool, async (database) => {
    const state = await readTablesState(database)
    if (!isToMove(state)) return null
    const foreignText = foreseeSql(database.schema)
    const { rows } = await database.query<Foreseen & { [column: string]: unknown }>({ foreignText })
    const [foreseen] = rows
    if (foreseen === undefined) throw new Error('PostgreSQL returned no counts')
    const { ready, delayed, deadLetters, kept, payloadBytes, runBytes } = foreseen
    const pieces = ready + delayed + deadLetters + kept
    return {
      ...foreseen,
      seconds: Math.ceil(1 + pieces / PIECES_PER_S + (payloadBytes + runBytes) / BYTES_PER_S),
      // Once in the new tables and once for the time of the move, and as much of the log.
      diskBytes: 3 * (pieces * BYTES_PER_PIECE + payloadBytes),
    }
  })
}

/** Of a machine with two slow processors. */
const PIECES_PER_S = 10_000
const BYTES_PER_S = 50_000_000
/** A row, its entries in indexes, and its unique key. */
const BYTES_PER_PIECE = 400

/** @throws MigrationRefusedError when 0.2 has to migrate the tables first */
function isToMove({ noted, isBefore }: TablesState): boolean {
  if (!isBefore) return false
  if (noted.some(({ name }) => name === LAST_STEP_BEFORE)) return true
  throw new MigrationRefusedError(
    `These tables are older than those of the last version 0.2, which lists the step ${LAST_STEP_BEFORE}; update to that first`,
  )
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
  const isMoved = isToMove(state)
  if (isMoved) {
    await move(database)
    log.info({ schema: schema.name, step: STEPS[0].name }, 'the queue of 0.2 was moved')
  }
  const open = listOpenSteps(isMoved ? [STEPS[0]] : state.noted)
  if (open.length > 0) {
    await database.query({ foreignText: makeSchemaSql(schema) })
    await changeTables(database, HISTORY_SQL)
  }
  for (const step of open) {
    await changeTables(database, step.sql, noteSql(step))
    log.info({ schema: schema.name, step: step.name }, 'migration step done')
  }
  return [...(isMoved ? [STEPS[0].name] : []), ...open.map(({ name }) => name)]
}

/** Whoever holds a lock is let pass, and then it begins again. */
async function move(database: Database): Promise<void> {
  const foreignText = moveScript(database.schema).join(';\n')
  await tryUntilFree(() => database.query({ foreignText }))
}

/** The transaction that moves what 0.2 has. */
export function moveScript(schema: Schema, maxTries = 1): string[] {
  const [tables] = STEPS
  const parts = moveSql(schema, { newTables: tables.sql, note: noteSql(tables), maxTries })
  return ['begin', LIMIT_WAITS_SQL, ...parts, 'commit']
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

/**
 * PostgreSQL demands the right to create schemas from `create schema if not exists`, even when the schema is there. In a database
 * that is not UTF-8, a payload with a character that its encoding lacks would abort the caller's transaction.
 */
export function makeSchemaSql({ name }: Schema): string {
  return `
  do $$ begin
    if current_setting('server_encoding') <> 'UTF8' and to_regclass('"${name}"."JobMigration"') is null then
      raise exception using errcode = '${WRONG_STATE}', message = format(
        'The database %s has the encoding %s, which cannot hold every text. Create another one, as with: create database app encoding ''UTF8'' template template0',
        current_database(), current_setting('server_encoding'));
    end if;
    if not exists (select from pg_namespace where nspname = '${name}') then
      create schema "${name}";
    end if;
  end $$`
}

/** The statement that notes a step as done. */
export function noteSql({ name, breaks }: Step): string {
  return `insert into "JobMigration" ("name", "breaks") values ('${name}', ${breaks})`
}
