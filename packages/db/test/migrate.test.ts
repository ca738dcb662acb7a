// Not quick: migrates many databases.
import { createPooler, createTestDatabase, type TestDatabase, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate, missingMigrations } from '../src/index.ts'
import { listMigrationNames, MIGRATIONS_DIR } from '../src/readMigrationDirectories.ts'
import { withMigrationLock } from '../src/withMigrationLock.ts'

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createTestDatabase({ migrated: false })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})

afterEach(async () => {
  await client.end()
  await database.drop()
})

const history = async () =>
  (
    await client.query(
      'select migration_name from _prisma_migrations where finished_at is not null',
    )
  ).rows.length

const locks = async () =>
  (
    await client.query(
      `select objid from pg_locks
       where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
    )
  ).rows

const asking = async () =>
  (
    await client.query(
      `select from pg_stat_activity where datname = current_database() and application_name = 'roundsman migrate' and query <> ''`,
    )
  ).rows.length

describe('migrate', () => {
  it('applies everything once, and then finds nothing to do', async () => {
    const all = await missingMigrations(database.url)
    expect(all).toEqual(await listMigrationNames(MIGRATIONS_DIR))

    expect(await migrate(database.url)).toEqual(all)
    expect(await migrate(database.url)).toEqual([])
    expect(await missingMigrations(database.url)).toEqual([])
  })

  it('of several starters at the same instant one migrates, and none fails', async () => {
    const results = await Promise.all([1, 2, 3, 4].map(() => migrate(database.url)))

    expect(results.filter((applied) => applied.length > 0)).toHaveLength(1)
    expect(await history()).toBe(results.flat().length)
  })

  it('behind a transaction pooler the same, and leaves no lock on a connection of the pooler', async () => {
    const pooler = await createPooler(database.url)
    const results = await Promise.all(
      Array.from({ length: 8 }, async () => await migrate(pooler.url)),
    )

    expect(results.filter((applied) => applied.length > 0)).toHaveLength(1)
    expect(await missingMigrations(pooler.url)).toEqual([])
    // The pooler rolls back what a client left open as soon as it notices that the client is gone.
    await waitFor(async () => (await locks()).length === 0)
    expect(await locks()).toEqual([])
    await pooler.close()
  })

  it('who waits is not in the way of an index that is built concurrently', async () => {
    await client.query('create table "Big" (n int)')
    let others: Promise<unknown> | undefined
    await withMigrationLock(database.url, async () => {
      others = Promise.all([1, 2].map(() => migrate(database.url)))
      await waitFor(async () => (await asking()) > 2)
      await client.query('create index concurrently on "Big" (n)')
    })

    await others
    expect(await missingMigrations(database.url)).toEqual([])
  })

  it('copes with tables that are there already', async () => {
    await migrate(database.url)
    await client.query('drop table _prisma_migrations')

    expect(await migrate(database.url)).toEqual(await listMigrationNames(MIGRATIONS_DIR))
    expect(await missingMigrations(database.url)).toEqual([])
  })

  it('lets all others pass while a session has locked what it changes', async () => {
    await migrate(database.url)
    await missingMigrationsAfter(
      `delete from _prisma_migrations where migration_name like '%alert_emails'`,
    )
    await client.query('begin; select from "EmailMessage" limit 1')
    const other = new pg.Client({ connectionString: database.url, statement_timeout: 20_000 })
    await other.connect()
    try {
      const migrated = migrate(database.url)
      const isWaitedFor = async () =>
        (
          await other.query(
            `select from pg_stat_activity where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`,
          )
        ).rowCount === 1
      for (let looks = 0; looks < 2; looks++) {
        await waitFor(isWaitedFor, { intervalMs: 5, message: 'the migration waits' })
        await other.query('select from "EmailMessage" limit 1')
      }
      await client.query('commit')
      expect(await migrated).toHaveLength(1)
    } finally {
      await other.end()
    }
  })

  it('goes on where a process died in the middle of a migration', async () => {
    await migrate(database.url)
    const [first] = await missingMigrationsAfter('update _prisma_migrations set finished_at = null')

    expect(await migrate(database.url)).toContain(first)
    expect(await missingMigrations(database.url)).toEqual([])
  })

  it('leaves nothing of a migration that fails, and applies it when the reason is gone', async () => {
    await client.query('create view "User" as select 1 as id')
    await expect(migrate(database.url)).rejects.toThrow('on relation "User"')
    const { rows } = await client.query(`select to_regclass('"PreviewSession"') is null as absent`)
    expect(rows[0].absent).toBe(true)

    await client.query('drop view "User"')
    await migrate(database.url)
    expect(await missingMigrations(database.url)).toEqual([])
  })

  async function missingMigrationsAfter(statement: string): Promise<string[]> {
    await client.query(statement)
    return missingMigrations(database.url)
  }
})
