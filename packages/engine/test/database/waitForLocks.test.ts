// Not quick: waits for locks.
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { uninstallSql } from '../../src/internal.ts'
import { migrate } from '../../src/migrate.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { LIMIT_WAITS_SQL, tellWaits, tryUntilFree } from '../../src/database/waitForLocks.ts'

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

/** Opens a transaction that has read the table. */
async function read(table: string): Promise<void> {
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

describe('a change of tables behind a session that reads', () => {
  it('lets all others pass, names that session, and goes on when it has gone', async () => {
    await read('JobWorker')
    const changing = openDatabase({
      url: database.url,
      applicationName: 'roundsman migrate',
      schema: createSchema(),
      poolSize: 2,
      log: containedLog({}),
    })
    const stopTelling = tellWaits((foreignText) => changing.query({ foreignText }), {
      application: 'roundsman migrate',
      log: containedLog(log),
    })
    const foreignText = `${LIMIT_WAITS_SQL}; alter table roundsman."JobWorker" add column "berth" text`
    const changed = tryUntilFree(() => changing.query({ foreignText }))
    for (let looks = 0; looks < 2; looks++) await readBehind('JobWorker')
    await waitFor(() => lines.length > 0, { message: 'a line about what it waits for' })
    await reader.query('commit')
    await changed
    await stopTelling()
    await changing.close()

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
    await other.query('select "berth" from "JobWorker"')
  })
})

it('the removal of all has a limit to what it waits', async () => {
  await reader.query('begin')
  await reader.query('select from "JobRun" limit 1')
  await expect(other.query(uninstallSql())).rejects.toMatchObject({ code: '55P03' })
  await other.query('rollback')
  await reader.query('commit')
  await other.query(uninstallSql())
})
