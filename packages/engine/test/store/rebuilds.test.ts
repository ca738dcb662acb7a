import { waitFor } from '@roundsman/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { asDb, openBoss } from '../../src/store/boss.ts'
import { openDatabase, type Database } from '../../src/store/database.ts'
import { createSchema } from '../../src/store/schema.ts'
import { installQueue } from '../../src/store/migrate.ts'
import { createRebuilds, dropLeftBehind, type Rebuilds } from '../../src/store/rebuilds.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })
const STATEMENT_TIMEOUT_MS = 500

let runtime: TestRuntime
let database: Database
let rebuilds: Rebuilds

beforeEach(async () => {
  runtime = await openTestRuntime([parcel])
  const { url, log } = runtime
  database = openDatabase({
    schema: createSchema('public'),
    url,
    applicationName: 'test engine',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    log,
  })
  rebuilds = createRebuilds(() =>
    openDatabase({
      schema: createSchema('public'),
      url,
      applicationName: 'test maintenance',
      poolSize: 1,
      statementTimeoutMs: null,
      log,
    }),
  )
})

afterEach(async () => {
  await rebuilds.stop()
  await database.close()
  await runtime.close()
})

/** Whether a rebuild has waited for a transaction for longer than any statement of the engine may take. */
const isPatient = async () => {
  const rows = await runtime.rows(
    `select from pg_stat_activity
     where datname = current_database() and query ilike 'reindex%' and state = 'active'
       and clock_timestamp() - query_start > interval '${2 * STATEMENT_TIMEOUT_MS} milliseconds'`,
  )
  return rows.length > 0
}

/** Does work while an open transaction has seen the queue. */
async function whileHeld(work: () => Promise<void>): Promise<void> {
  await runtime.database.transaction(async (tx) => {
    await tx.query('select count(*) from pgboss.job')
    await work()
  })
}

it('pg-boss rebuilds its indexes however long a transaction is open, and leaves none behind that is not whole', async () => {
  const boss = openBoss(rebuilds.around(asDb(database)), database.schema)
  const errors: unknown[] = []
  boss.on('error', (error) => errors.push(error))
  boss.on('warning', (warning) => errors.push(warning))
  await boss.start()
  let supervising: Promise<void> = Promise.resolve()

  await whileHeld(async () => {
    supervising = boss.supervise(undefined, { reindex: { force: true } })
    await waitFor(isPatient)
  })
  await supervising
  await boss.stop({ graceful: false, close: false })

  expect(errors).toEqual([])
  expect(
    await runtime.rows(
      `select indexrelid::regclass::text from pg_index where not indisvalid
       or indexrelid::regclass::text ~ '_cc(new|old)'`,
    ),
  ).toEqual([])
})

it('a worker that stops does not wait for one', async () => {
  const db = rebuilds.around(asDb(database))
  await whileHeld(async () => {
    const rebuilding = db.executeSql('reindex index concurrently pgboss.job_common_pkey').then(
      () => 'rebuilt',
      () => 'left alone',
    )
    await waitFor(isPatient)
    await rebuilds.stop()
    expect(await rebuilding).toBe('left alone')
  })
})

it('what one leaves behind that was interrupted at its end is dropped by the next installation, and by none before', async () => {
  const replaced = async () =>
    (
      await runtime.rows<{ name: string }>(
        `select relname as name from pg_class where relname ~ '_ccold' and relkind = 'i' order by 1`,
      )
    ).map(({ name }) => name)
  const db = rebuilds.around(asDb(database))
  const interrupt = () =>
    whileHeld(async () => {
      const before = (await replaced()).length
      const rebuilding = db.executeSql('reindex index concurrently pgboss.job_common_pkey').then(
        () => 'rebuilt',
        () => 'interrupted',
      )
      await waitFor(async () => (await replaced()).length > before)
      const found = await replaced()
      if (before === 0) await dropLeftBehind(runtime.database)
      expect(await replaced()).toEqual(found)
      await runtime.rows(
        `select pg_cancel_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'reindex%' and state = 'active'`,
      )
      expect(await rebuilding).toBe('interrupted')
    })
  await interrupt()
  await interrupt()
  expect(await replaced()).toEqual(['job_common_pkey_ccold', 'job_common_pkey_ccold1'])
  await runtime.rows('create index somebody_ccold on pgboss.job_common (name)')

  await installQueue(runtime.database, [parcel])
  expect(await replaced()).toEqual(['somebody_ccold'])
  expect(await runtime.rows('select from pg_index where not indisvalid')).toEqual([])
})
