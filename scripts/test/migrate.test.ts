// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess } from '@roundsman/testing'
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
  expect(await countQueues(database.url)).toBeGreaterThan(0)

  const second = migrate(database.url)
  expect((await second.exited).code).toBe(0)
  expect(second.stdout).toEqual(['The database is up to date.'])
  const after = migrate(database.url, '--check')
  expect((await after.exited).code).toBe(0)
  expect(after.stdout).toEqual(['The database is up to date.'])
  await database.drop()
})

test('names DATABASE_URL when it cannot be reached, without its password', async () => {
  const command = migrate('postgresql://somebody:hush@127.0.0.1:1/x')
  expect((await command.exited).code).toBe(1)
  const output = [...command.stdout, ...command.stderr].join('\n')
  expect(output).toContain('DATABASE_URL: nothing listens at 127.0.0.1:1')
  expect(output).not.toContain('hush')
})

function migrate(url: string, ...args: string[]) {
  return spawnProcess(join(WORKSPACE_ROOT, 'scripts/migrate.ts'), {
    args,
    env: { DATABASE_URL: url, NODE_ENV: undefined },
  })
}

async function countQueues(url: string): Promise<number> {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'migrate test',
    onPoolError: () => undefined,
  })
  const [row] = await prisma.$queryRaw<{ count: number }[]>`
    select count(*)::int as count from information_schema.tables where table_schema like 'pgboss%'`
  await prisma.$disconnect()
  return row!.count
}
