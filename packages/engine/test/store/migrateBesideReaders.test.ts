// Not quick: waits for locks.
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkMigrations, migrate, migrationSql, uninstallSql } from '../../src/migrate.ts'
import { STEPS } from '../../src/store/steps.ts'

let database: TestDatabase
let reader: pg.Client
let other: pg.Client
let lines: { text: string; fields: object }[]

beforeEach(async () => {
  lines = []
  database = await createTestDatabase({ migrated: false })
  await migrate({ databaseUrl: database.url })
  reader = await open('psql')
  other = await open('other')
})

afterEach(async () => {
  await reader.end()
  await other.end()
  await database.drop()
})

async function open(application_name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url, application_name })
  await client.connect()
  await client.query(`set search_path = roundsman; set statement_timeout = '20s'`)
  return client
}

// As console takes them.
const log = { warn: (text: string, fields: object) => void lines.push({ text, fields }) }
const migrateAgain = () => migrate({ databaseUrl: database.url, log })

/** Has the step forgotten, and opens a transaction that has read the table which it changes. */
async function readBeforeStep(step: string, table: string): Promise<void> {
  await other.query('delete from "JobMigration" where "name" = $1', [step])
  await reader.query('begin')
  await reader.query(`select from "${table}" limit 1`)
}

/** Resolves once a session has waited for a lock behind the reader, and others have read the table meanwhile. */
async function readBehind(table: string): Promise<void> {
  const isWaitedFor = async () =>
    (
      await other.query(
        `select from pg_stat_activity where datname = current_database() and application_name <> 'other'
           and (select pid from pg_stat_activity where application_name = 'psql' and datname = current_database())
             = any(pg_blocking_pids(pid))`,
      )
    ).rowCount === 1
  await waitFor(isWaitedFor, { message: 'the migration waits', intervalMs: 5 })
  await other.query(`select from "${table}" limit 1`)
}

describe('migrate behind a session that reads', () => {
  it('lets all others pass, names that session, and goes on when it has gone', async () => {
    await readBeforeStep('workerLanes', 'JobWorker')
    const migrated = migrateAgain()
    for (let looks = 0; looks < 2; looks++) await readBehind('JobWorker')
    await waitFor(() => lines.length > 0, { message: 'a line about what it waits for' })
    await reader.query('commit')

    expect(await migrated).toEqual(['workerLanes'])
    const [line] = lines
    expect(line).toEqual({
      text: 'waiting for a lock that another session holds',
      fields: {
        pid: (reader as unknown as { processID: number }).processID,
        application: 'psql',
        state: 'idle in transaction',
        since: expect.any(Date),
        query: 'select from "JobWorker" limit 1',
      },
    })
  })

  it('builds an index that nobody waits for, anew where one was left half built', async () => {
    await other.query(`
      drop index "JobRun_errorCode_startedAt_id_idx";
      create index "JobRun_errorCode_startedAt_id_idx" on "JobRun" ("errorCode");
      update pg_index set indisvalid = false where indexrelid = '"JobRun_errorCode_startedAt_id_idx"'::regclass`)
    await readBeforeStep('errorCodes', 'JobRun')
    const migrated = migrateAgain()
    await waitFor(() => lines.length > 0, { message: 'a line about what it waits for' })
    await other.query('select from "JobRun" limit 1')
    await other.query(`insert into "JobRun" ("id", "name", "trigger", "workerId")
      values (gen_random_uuid(), 'echo', 'queue', 'w1')`)
    await reader.query('commit')

    expect(await migrated).toEqual(['errorCodes'])
    const { rows } = await other.query(
      `select indisvalid, indnatts from pg_index where indexrelid = '"JobRun_errorCode_startedAt_id_idx"'::regclass`,
    )
    expect(rows).toEqual([{ indisvalid: true, indnatts: 5 }])
  })

  it('does so by its script too', async () => {
    await readBeforeStep('workerLanes', 'JobWorker')
    const { state } = await checkMigrations({ databaseUrl: database.url })
    const dba = await open('dba')
    try {
      await dba.query('reset statement_timeout')
      const notices: string[] = []
      dba.on('notice', ({ message }) => notices.push(message ?? ''))
      const done = dba.query(migrationSql({ from: state }))
      for (let looks = 0; looks < 2; looks++) await readBehind('JobWorker')
      await reader.query('commit')
      await done
      expect(notices).toContainEqual(
        expect.stringContaining('application psql, idle in transaction'),
      )
      expect((await checkMigrations({ databaseUrl: database.url })).problem).toBeNull()
    } finally {
      await dba.end()
    }
  })
})

describe('what an upgrade does to tables that are there', () => {
  /** A lock that readers or writers wait for, where it is written as a statement of its own. */
  const CHANGE =
    /^\s*(?:alter (?:table|index)|drop|create (?:or replace )?(?:view|trigger)|create (?:unique )?index|update|delete)\b/i

  it('has a limit to what it waits, in each transaction of the script, but for concurrent indexes', () => {
    const from = {
      noted: [],
      found: ['jobs'],
      queueVersion: 30,
      areKeysUnique: false,
      hasDeadLetterIndex: false,
    }
    const statements = migrationSql({ from }).replaceAll(/--.*/g, '').split(/;\n?/)
    let isLimited = false
    const unlimited: string[] = []
    for (const statement of statements) {
      if (/^\s*(?:begin|commit)\s*$/i.test(statement)) isLimited = false
      if (/set_config\('lock_timeout'/.test(statement)) isLimited = true
      if (CHANGE.test(statement) && !isLimited && !/\bconcurrently\b/i.test(statement))
        unlimited.push(statement)
    }
    expect(unlimited).toEqual([])
    expect(statements.filter((text) => CHANGE.test(text)).length).toBeGreaterThan(STEPS.length)
  })

  it('has one where all is removed', async () => {
    await reader.query('begin')
    await reader.query('select from "JobRun" limit 1')
    await expect(other.query(uninstallSql())).rejects.toMatchObject({ code: '55P03' })
    await other.query('rollback')
    await reader.query('commit')
    await other.query(uninstallSql())
  })
})
