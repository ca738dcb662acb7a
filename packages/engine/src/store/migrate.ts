import { setTimeout as pause } from 'node:timers/promises'
import { getConstructionPlans } from 'pg-boss'
import type { HostLogger } from '../job/logger.ts'
import { containedLog, type ContainedLog } from './containedLog.ts'
import { withEngineJobs } from '../job/engineJobs.ts'
import type { Job } from '../job/defineJob.ts'
import { asDb, openBoss } from './boss.ts'
import { openDatabase, type Connection, type Database } from './database.ts'
import { DEAD_LETTER_INDEX_SQL, KEEP_ALL_DEAD_LETTERS_SQL } from './deadLetterSql.ts'
import { declareQueues } from './queue.ts'
import { dropLeftBehind } from './rebuilds.ts'
import { createSchema, PUBLIC, type Schema } from './schema.ts'
import { hasSqlState, INSUFFICIENT_PRIVILEGE } from './sqlState.ts'
import { STEPS, type Step } from './steps.ts'
import { changeTables, tellWaits, tryUntilFree, waitBriefly } from './takeLocks.ts'
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
  /** Created when it is missing. Default `roundsman`. */
  schema?: string | undefined
  /** Jobs whose queues are created too, so that clients can enqueue before the first worker starts. Default: none. */
  jobs?: readonly Job[] | undefined
  /** Default: warnings and errors go to standard error, the rest nowhere. */
  log?: Partial<HostLogger> | undefined
}

/**
 * Creates all tables that the engine uses, pg-boss's included, or upgrades them from any earlier version. Steps that
 * Prisma's migrations have done are kept. Run it as a deploy step: workers and clients may not change a schema. Of several
 * processes one migrates and the others wait. Run it again after it was killed.
 * @returns the names of what it has done; empty when nothing was missing
 * @throws TablesError `newer` when a newer version's tables would break this one
 * @throws MigrationDeniedError when the database role may not create the tables
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
    applicationName: APPLICATION,
    schema,
    // The lock, a second lock while unique keys are installed, the step, and whoever looks for what it waits for.
    poolSize: 4,
    // Building an index of a long queue takes longer than any time-out.
    statementTimeoutMs: null,
    log,
  })
  const stopTelling = tellWaits((foreignText) => database.query({ foreignText }), {
    application: APPLICATION,
    log,
  })
  try {
    return await withMigrationLock(database, () =>
      migrateUnderLock(database, jobs && withEngineJobs(jobs), log),
    )
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
    await changeTables(database, HISTORY_SQL)
  }
  for (const step of open) {
    const isThere = state.found.includes(step.name)
    await take(database, step, isThere)
    if (!isThere) done.push(step.name)
    log.info(
      { schema: schema.name, step: step.name },
      isThere ? 'migration step was done before' : 'migration step done',
    )
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

/** The whole script for an empty schema. It builds indexes without `concurrently`, since nobody works there yet. */
export function newTablesSql(schema: Schema): string {
  const steps = STEPS.flatMap((step) => [
    ...(step.index ? indexSql(step.index) : [step.sql ?? '']),
    noteSql(step),
  ])
  const ours = ['begin', HISTORY_SQL, ...steps, 'commit'].join(';\n')
  return `${makeSchemaSql(schema)};${queueSql(schema)};\n${schema.sql(ours)}`
}

/** Creates pg-boss's tables with our indexes, where there are none. */
export function queueSql(schema: Schema): string {
  const indexes = ['begin', DEAD_LETTER_INDEX_SQL, UNIQUE_KEYS_SQL, 'commit'].join(';\n')
  return `${getConstructionPlans(schema.queue, { createSchema: false })};\n${schema.sql(indexes)}`
}

/** PostgreSQL demands the right to create schemas from `create schema if not exists`, even when the schema is there. */
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

/**
 * Sends the step and its note as one text, which is one transaction: a migration that is killed leaves neither or both. An
 * index that is built concurrently waits for others, but nobody waits for it.
 */
async function take(database: Database, step: Step, isThere: boolean): Promise<void> {
  if (isThere) return void (await database.query(noteSql(step)))
  if (step.index) {
    const { index } = step
    await tryUntilFree(() => buildIndex(database, index))
    await database.query(noteSql(step))
  } else await changeTables(database, step.sql ?? '', noteSql(step))
}

/** The statement that notes a step as done. */
export function noteSql({ name, breaks }: Step): string {
  return `insert into "JobMigration" ("name", "breaks") values ('${name}', ${breaks})`
}

/** Drops an invalid index first, which an interrupted build has left. */
async function buildIndex(database: Connection, index: NonNullable<Step['index']>): Promise<void> {
  const { rows } = await database.query<{ isWhole: boolean }>(
    `select indisvalid as "isWhole" from pg_index where indexrelid = to_regclass('roundsman."${index.name}"')`,
  )
  if (rows[0]?.isWhole === false)
    await database.query(`drop index concurrently roundsman."${index.name}"`)
  for (const sql of indexSql(index, 'concurrently')) await database.query(sql)
}

/** The statements that build an index where it is missing, and drop the one that it replaces. */
export function indexSql(
  { name, on, isUnique, replaces }: NonNullable<Step['index']>,
  manner = '',
): string[] {
  const kind = isUnique ? 'unique index' : 'index'
  const build = `create ${kind} ${manner} if not exists "${name}" on ${on}`
  return replaces === undefined
    ? [build]
    : [build, `drop index ${manner} if exists roundsman."${replaces}"`]
}

/** Creates pg-boss's tables; or has pg-boss upgrade them, and waits for the indexes that it builds in the background. */
async function migrateQueue(database: Database, version: number | null): Promise<void> {
  const { schema } = database
  if (version === null) return void (await database.query({ foreignText: queueSql(schema) }))
  const failures: Error[] = []
  const db = asDb(database)
  const impatient = {
    ...db,
    executeSql: (text: string, values?: unknown[]) => db.executeSql(waitBriefly(text), values),
  }
  const boss = await tryUntilFree(async () => {
    const opened = openBoss(impatient, schema, { migrate: true })
    opened.on('error', (error) => failures.push(error))
    return await opened.start()
  })
  try {
    // pg-boss builds postponed indexes while it runs with `migrate: true`, which workers do not have.
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
  await changeTables(database, DEAD_LETTER_INDEX_SQL)
}

const LOOK_EVERY_MS = 200

async function isUnfinished(database: Connection): Promise<boolean> {
  const { rows } = await database.query(
    `select from pgboss.bam where status <> 'completed' limit 1`,
  )
  return rows.length > 0
}

/**
 * Creates or upgrades pg-boss's tables, builds our indexes beside running work, and creates the queues of these jobs.
 * @returns whether pg-boss's tables were created or upgraded
 */
export async function installQueue(database: Database, jobs: readonly Job[]): Promise<boolean> {
  const { queueVersion, hasDeadLetterIndex } = await readTablesState(database)
  if (queueVersion !== QUEUE_VERSION) await migrateQueue(database, queueVersion)
  else if (!hasDeadLetterIndex) await changeTables(database, DEAD_LETTER_INDEX_SQL)
  await changeTables(database, KEEP_ALL_DEAD_LETTERS_SQL)
  await installUniqueKeys(database)
  await dropLeftBehind(database)
  if (jobs.length === 0) return queueVersion !== QUEUE_VERSION
  const boss = openBoss(asDb(database), database.schema)
  boss.on('error', () => undefined)
  await boss.start()
  try {
    await tryUntilFree(() => declareQueues(boss, jobs))
  } finally {
    await boss.stop({ graceful: false, close: false })
  }
  return queueVersion !== QUEUE_VERSION
}
