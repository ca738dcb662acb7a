import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabaseClient, type PrismaClient } from '../src/index.ts'

let database: TestDatabase
let prisma: PrismaClient

beforeAll(async () => {
  database = await createTestDatabase()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(
    `alter database "${new URL(database.url).pathname.slice(1)}" set timezone = 'Asia/Tokyo'`,
  )
  await client.end()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'test',
    statementTimeoutMs: 200,
    onPoolError: () => undefined,
  })
})

afterAll(async () => {
  await prisma.$disconnect()
  await database.drop()
})

describe('createDatabaseClient', () => {
  it('stores and reads instants as they are, whatever the zone of the database', async () => {
    const createdAt = new Date('2026-05-01T12:00:00.123Z')
    await prisma.i18nCacheEntry.create({ data: { locale: 'en', key: 'k', value: 'v', createdAt } })

    const [stored] = await prisma.$queryRaw<{ ms: number }[]>`
      select (extract(epoch from "createdAt") * 1000)::float8 as ms from "I18nCacheEntry"`
    expect(stored?.ms).toBe(createdAt.getTime())
    expect((await prisma.i18nCacheEntry.findFirstOrThrow()).createdAt).toEqual(createdAt)
    expect(
      await prisma.$queryRaw`select "createdAt" from "I18nCacheEntry" where "createdAt" = ${createdAt}`,
    ).toEqual([{ createdAt }])
  })

  it('says who it is and cancels a statement that takes too long', async () => {
    const [row] = await prisma.$queryRaw<
      { name: string }[]
    >`select current_setting('application_name') as name`
    expect(row?.name).toBe('test')
    await expect(prisma.$queryRaw`select pg_sleep(5)::text`).rejects.toThrow(/statement timeout/)
  })
})
