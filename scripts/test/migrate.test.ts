// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess } from '@roundsman/testing'
import pg from 'pg'
import { expect, test } from 'vitest'
import { createDatabaseClient, missingMigrations } from '@roundsman/db'
import { WORKSPACE_ROOT } from './stack.ts'

test('brings an empty database up to date, the queue included, once', async () => {
  const database = await createTestDatabase({ migrated: false })
  const before = migrate(database.url, '--check', '--json')
  expect((await before.exited).code).toBe(1)
  const { isUpToDate, missing } = JSON.parse(before.stdout.join(''))
  expect(isUpToDate).toBe(false)
  expect(missing).toContainEqual(expect.stringContaining('_product'))
  const first = migrate(database.url)
  expect({ ...(await first.exited), stderr: first.stderr }).toMatchObject({ code: 0, stderr: [] })
  expect(first.stdout.join('\n')).toContain('_product')
  expect(await missingMigrations(database.url)).toEqual([])
  expect(await hasQueue(database.url)).toBe(true)

  const second = migrate(database.url)
  expect((await second.exited).code).toBe(0)
  expect(second.stdout).toEqual(['The database is up to date.'])
  const after = migrate(database.url, '--check')
  expect((await after.exited).code).toBe(0)
  expect(after.stdout).toEqual(['The database is up to date.'])
  await database.drop()
})

function migrate(url: string, ...args: string[]) {
  return spawnProcess(join(WORKSPACE_ROOT, 'scripts/migrate.ts'), {
    args,
    env: { DATABASE_URL: url, NODE_ENV: undefined },
  })
}

async function hasQueue(url: string): Promise<boolean> {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'migrate test',
    onPoolError: () => undefined,
  })
  const [row] = await prisma.$queryRaw<{ isThere: boolean }[]>`
    select to_regclass('"JobWork"') is not null as "isThere"`
  await prisma.$disconnect()
  return row!.isThere
}

test('brings a database up to date that has migrations of a newer version', async () => {
  const database = await createTestDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(`
      insert into _prisma_migrations (id, checksum, finished_at, migration_name)
      values ('1', 'x', now(), '20991124000000_later');
      delete from _prisma_migrations where migration_name like '%_alert_emails'`)
    const command = migrate(database.url)
    expect((await command.exited).code).toBe(0)
    expect(command.stdout.join('\n')).toMatch(/_alert_emails$/)
    expect(await missingMigrations(database.url)).toEqual([])
  } finally {
    await client.end()
    await database.drop()
  }
})
