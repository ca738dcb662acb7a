import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { getConstructionPlans } from 'pg-boss'
import type { HostLogger } from '../job/logger.ts'
import { containedLog, type ContainedLog } from './containedLog.ts'
import { withEngineJobs, type Job } from '../index.ts'
import { asDb, openBoss } from './boss.ts'
import { openDatabase, type Connection, type Database } from './database.ts'
import { DEAD_LETTER_INDEX_SQL, KEEP_ALL_DEAD_LETTERS_SQL } from './deadLetterSql.ts'
import { declareQueues } from './queue.ts'
import { dropLeftBehind } from './rebuilds.ts'
import { createSchema, PUBLIC, type Schema } from './schema.ts'
import { STEPS, type Step } from './steps.ts'
import {
  findTablesProblem,
  QUEUE_VERSION,
  readTablesState,
  type TablesError,
  type TablesState,
} from './tablesState.ts'
import { installUniqueKeys, UNIQUE_KEYS_SQL } from './uniqueKeys.ts'

export interface MigrateOptions {
  databaseUrl: string
  /** It is made where it is missing. Default `roundsman`. */
  schema?: string | undefined
  /** Their queues are made as well, so that work can be enqueued before a worker has started. Default: none. */
  jobs?: readonly Job[] | undefined
  /** Default: warnings go to standard error. */
  log?: Partial<HostLogger> | undefined
}

/**
 * Makes all tables that the engine works with, pg-boss's included, or brings them to this version, from whichever they
 * have; what Prisma's migrations have made of them is taken over as it is. A deploy step: workers and clients start
 * without the right to change a schema. Of several at once one migrates, and the others wait for it. Killed on its way,
 * it is run again.
 * @returns what it has done; nothing where all was there
 */
export async function migrate({
  databaseUrl,
  schema: name,
  jobs,
  log: hostLog,
}: MigrateOptions): Promise<string[]> {
  const log = containedLog(hostLog)
  const schema = createSchema(name)
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'roundsman migrate',
    schema,
    poolSize: 3,
    // An index of a long queue takes its time.
    statementTimeoutMs: null,
    log,
  })
  try {
    return await withMigrationLock(database, () =>
      migrateUnderLock(database, jobs && withEngineJobs(jobs), log),
    )
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE)
      throw new MigrationDeniedError(schema.name, error)
    throw error
  } finally {
    await database.close()
  }
}

const INSUFFICIENT_PRIVILEGE = '42501'

/** Whoever migrates may not do what is needed. */
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
  /** Why a process of this version would refuse to start, with the remedy. */
  problem: TablesError | null
  state: TablesState
}

/** Whether `migrate` has run, for a step of CI or before a deployment: it changes nothing. */
export async function checkMigrations({
  databaseUrl,
  schema: name,
  log,
}: Omit<MigrateOptions, 'jobs'>): Promise<TablesCheck> {
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
 * Who waits asks again and again: a statement that waits holds a snapshot, and `create index concurrently` would wait for
 * that. A lock of a transaction, since one of a session would stay with the connection of a transaction pooler.
 */
async function withMigrationLock<Value>(
  database: Database,
  work: () => Promise<Value>,
): Promise<Value> {
  for (;;) {
    const done = await database.transaction(async (tx) => {
      await tx.query('set local idle_in_transaction_session_timeout = 0')
      // Without parameters: with them the driver leaves a portal open, and that its snapshot.
      const { rows } = await tx.query<{ isOurs: boolean }>(
        `select pg_try_advisory_xact_lock(hashtextextended('roundsman migrates ${database.schema.name}', 0)) as "isOurs"`,
      )
      return rows[0]?.isOurs ? { value: await work() } : null
    })
    if (done) return done.value
    await pause(ASK_EVERY_MS)
  }
}

async function migrateUnderLock(
  database: Database,
  jobs: readonly Job[] | undefined,
  log: ContainedLog,
): Promise<string[]> {
  const { schema } = database
  const state = await readTablesState(database)
  const problem = findTablesProblem(schema.name, state)
  if (problem?.kind === 'newer') throw problem
  const known = new Set(state.noted.map((step) => step.name))
  const open = STEPS.filter((step) => !known.has(step.name))
  const done: string[] = []
  if (problem || open.length > 0) {
    await makeSchemas(database)
    await database.query(HISTORY_SQL)
  }
  for (const step of open) {
    const isThere = state.found.includes(step.name)
    await take(database, step, isThere)
    if (!isThere) done.push(step.name)
    log.info({ schema: schema.name, step: step.name }, isThere ? 'step was there' : 'step done')
  }
  if (await installQueue(database, jobs ?? [])) {
    done.push(`queue ${QUEUE_VERSION}`)
    log.info({ schema: schema.name, version: QUEUE_VERSION }, "queue's tables migrated")
  }
  return done
}

export const HISTORY_SQL = `
  create table if not exists "JobMigration" (
    "name" text primary key,
    "breaks" boolean not null,
    "appliedAt" timestamptz(3) not null default now()
  )`

/** All of it as one text, for a schema in which nothing is yet and nobody works: nothing is built beside anything. */
export function newTablesSql(schema: Schema): string {
  const steps = STEPS.flatMap((step) => [
    step.index ? indexSql(step.index, '') : (step.sql ?? ''),
    noteSql(step),
  ])
  const ours = ['begin', HISTORY_SQL, ...steps, 'commit'].join(';\n')
  return `${makeSchemaSql(schema)};${queueSql(schema)};\n${schema.sql(ours)}`
}

/** pg-boss's tables with our indexes, where there are none. */
export function queueSql(schema: Schema): string {
  const indexes = ['begin', DEAD_LETTER_INDEX_SQL, UNIQUE_KEYS_SQL, 'commit'].join(';\n')
  return `${getConstructionPlans(schema.queue, { createSchema: false })};\n${schema.sql(indexes)}`
}

/** `create schema if not exists` asks for the right to do so also where there is one. */
export function makeSchemaSql(schema: Schema): string {
  const name = schema.name === PUBLIC ? 'pgboss' : schema.name
  return `
  do $$ begin
    if not exists (select from pg_namespace where nspname = '${name}') then
      create schema "${name}";
    end if;
  end $$`
}

async function makeSchemas(database: Connection): Promise<void> {
  await database.query({ foreignText: makeSchemaSql(database.schema) })
}

/** One text, and so one transaction: who is killed in it leaves nothing. */
async function take(database: Database, step: Step, isThere: boolean): Promise<void> {
  if (isThere) return void (await database.query(noteSql(step)))
  if (step.index) {
    await buildIndex(database, step.index)
    await database.query(noteSql(step))
  } else await database.query(`begin; ${step.sql}; ${noteSql(step)}; commit`)
}

export function noteSql({ name, breaks }: Step): string {
  return `insert into "JobMigration" ("name", "breaks") values ('${name}', ${breaks})`
}

/** One that is not whole is left over from somebody who was interrupted. */
async function buildIndex(database: Connection, index: NonNullable<Step['index']>): Promise<void> {
  const { rows } = await database.query<{ isWhole: boolean }>(
    `select indisvalid as "isWhole" from pg_index where indexrelid = to_regclass('roundsman."${index.name}"')`,
  )
  if (rows[0]?.isWhole) return
  if (rows[0]) await database.query(`drop index concurrently roundsman."${index.name}"`)
  await database.query(indexSql(index, 'concurrently'))
}

export function indexSql(
  { name, on, isUnique }: NonNullable<Step['index']>,
  manner: string,
): string {
  return `create ${isUnique ? 'unique index' : 'index'} ${manner} "${name}" on ${on}`
}

/** Where there are none, all at once; else as pg-boss upgrades them, and then what it has only noted down. */
async function migrateQueue(database: Database, version: number | null): Promise<void> {
  const { schema } = database
  if (version === null) return void (await database.query({ foreignText: queueSql(schema) }))
  const failures: Error[] = []
  const boss = openBoss(asDb(database), schema, { migrate: true })
  boss.on('error', (error) => failures.push(error))
  await boss.start()
  try {
    // While it runs and may migrate, it builds in the background what an upgrade has put off. A worker may not.
    while (await isUnfinished(database)) {
      const [cause] = failures
      if (cause) {
        throw new Error('An index of the queue could not be built; migrate again', { cause })
      }
      await pause(LOOK_EVERY_MS)
    }
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
  await database.query(DEAD_LETTER_INDEX_SQL)
}

const LOOK_EVERY_MS = 200

async function isUnfinished(database: Connection): Promise<boolean> {
  const { rows } = await database.query(
    `select from pgboss.bam where status <> 'completed' limit 1`,
  )
  return rows.length > 0
}

/**
 * Creates or upgrades pg-boss's tables, with our own indexes, built beside the work that goes on, and the queues of these
 * jobs. False: it has upgraded nothing.
 */
export async function installQueue(database: Database, jobs: readonly Job[]): Promise<boolean> {
  const { queueVersion, hasDeadLetterIndex } = await readTablesState(database)
  if (queueVersion !== QUEUE_VERSION) await migrateQueue(database, queueVersion)
  else if (!hasDeadLetterIndex) await database.query(DEAD_LETTER_INDEX_SQL)
  await database.query(KEEP_ALL_DEAD_LETTERS_SQL)
  await installUniqueKeys(database)
  await dropLeftBehind(database)
  if (jobs.length === 0) return queueVersion !== QUEUE_VERSION
  const boss = openBoss(asDb(database), database.schema)
  boss.on('error', () => undefined)
  await boss.start()
  try {
    await declareQueues(boss, jobs)
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
  return queueVersion !== QUEUE_VERSION
}
