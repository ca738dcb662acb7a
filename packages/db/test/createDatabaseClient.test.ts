import { createProxy, createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabaseClient, type DatabaseClient } from '../src/index.ts'

let database: TestDatabase
let prisma: DatabaseClient

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

  it('cancels what takes too long past Prisma as well', async () => {
    await expect(prisma.readRows({ text: 'select pg_sleep(5)::text' })).rejects.toThrow(
      /statement timeout/,
    )
  })

  it('gives up a connection that fell silent, and goes on over others', async () => {
    const url = new URL(database.url)
    const proxy = await createProxy(Number(url.port))
    url.port = String(proxy.port)
    const other = createDatabaseClient({
      url: url.href,
      applicationName: 'silent',
      statementTimeoutMs: 200,
      onPoolError: () => undefined,
    })
    try {
      await Promise.all([1, 2, 3].map(() => other.$queryRaw`select pg_sleep(0.1)::text`))
      proxy.forget()
      await expect(other.$queryRaw`select 1 as one`).rejects.toThrow('Query read timeout')
      await waitFor(
        async () =>
          (await Promise.all([1, 2, 3].map(() => other.$queryRaw`select 1 as one`))).length === 3,
      )
    } finally {
      await other.$disconnect()
      proxy.close()
    }
  }, 60_000)

  it('gives up what the server neither answers nor cancels, and goes on over another connection', async () => {
    const giveUp = async (sleep: (other: DatabaseClient) => Promise<unknown>) => {
      const other = createDatabaseClient({
        url: database.url,
        applicationName: 'unanswered',
        statementTimeoutMs: 200,
        poolSize: 1,
        onPoolError: () => undefined,
      })
      try {
        await other.readRows({ text: 'set statement_timeout = 0' })
        await expect(sleep(other)).rejects.toThrow('Query read timeout')
        expect(await other.readRows({ text: 'select 1 as one' })).toEqual([{ one: 1 }])
      } finally {
        await other.$disconnect()
      }
    }
    await Promise.all([
      giveUp((other) => other.readRows({ text: 'select pg_sleep(60)::text' })),
      giveUp((other) => other.$queryRaw`select pg_sleep(60)::text`),
      giveUp((other) => other.$transaction((tx) => tx.$queryRaw`select pg_sleep(60)::text`)),
    ])
  }, 60_000)

  it('refuses a value that no driver can send, and goes on over its connections', async () => {
    const unsendable = { text: 'select $1::jsonb', values: [{ n: 1n }] }
    for (let n = 0; n < 3; n++) {
      await expect(prisma.readRows(unsendable)).rejects.toThrow('BigInt')
      expect(await prisma.readRows({ text: 'select 1 as one' })).toEqual([{ one: 1 }])
    }
  })

  it('keeps what has a name prepared where connections last, and nowhere else', async () => {
    let areLasting = false
    const reader = createDatabaseClient({
      url: database.url,
      applicationName: 'reader',
      poolSize: 1,
      canPrepare: () => areLasting,
      onPoolError: () => undefined,
    })
    const prepared = () =>
      reader.readRows<{ name: string }>({ text: 'select "name" from pg_prepared_statements' })
    const named = { name: 'sums', text: 'select $1::int + 1 as sum' }

    expect(await reader.readRows({ ...named, values: [1] })).toEqual([{ sum: 2 }])
    expect(await prepared()).toEqual([])
    areLasting = true
    for (const n of [2, 3]) {
      expect(await reader.readRows({ ...named, values: [n] })).toEqual([{ sum: n + 1 }])
    }
    expect(await prepared()).toEqual([{ name: 'sums' }])
    await reader.$disconnect()
  })

  it('survives, having only read past Prisma, a connection that is cut, and closes the others', async () => {
    const problems: Error[] = []
    const cut = Promise.withResolvers<void>()
    const reader = createDatabaseClient({
      url: database.url,
      applicationName: 'reader',
      onPoolError: (error) => {
        problems.push(error)
        cut.resolve()
      },
    })
    const text = 'select pg_backend_pid() as pid'
    const [first] = await reader.readRows<{ pid: number }>({ text })
    await prisma.$queryRaw`select pg_terminate_backend(${first!.pid}::int)`
    await cut.promise
    const [second] = await reader.readRows<{ pid: number }>({ text })
    expect(second!.pid).not.toBe(first!.pid)
    expect(problems).toHaveLength(1)
    // A log writes all that an error carries. The driver's client has the key that cancels its statements.
    expect(Object.keys(problems[0] ?? {})).not.toContain('client')

    await reader.$disconnect()
    await waitFor(async () => {
      const open = await prisma.$queryRaw<unknown[]>`
        select from pg_stat_activity where application_name = 'reader' and datname = current_database()`
      return open.length === 0
    })
  })

  it('is read committed whatever the role has, and lets a transaction choose another', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await prisma.$executeRawUnsafe(
      `alter database "${name}" set default_transaction_isolation = 'serializable'`,
    )
    const other = createDatabaseClient({
      url: database.url,
      applicationName: 'other',
      onPoolError: () => undefined,
    })
    const text = `select current_setting('transaction_isolation') as isolation, current_setting('jit') as jit,
                         current_setting('tcp_user_timeout') as "userTimeout"`
    try {
      expect(await other.$queryRawUnsafe(text)).toEqual([
        { isolation: 'read committed', jit: 'off', userTimeout: '30000' },
      ])
      expect(
        await other.$transaction((tx) => tx.$queryRawUnsafe(text), {
          isolationLevel: 'Serializable',
        }),
      ).toMatchObject([{ isolation: 'serializable' }])
    } finally {
      await other.$disconnect()
      await prisma.$executeRawUnsafe(`alter database "${name}" reset default_transaction_isolation`)
    }
  })
})
