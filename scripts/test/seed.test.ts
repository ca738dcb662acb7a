// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess, type TestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createDatabaseClient, verifyPassword, type PrismaClient } from '@roundsman/db'
import { DEMO_PASSWORD, seedDemoData } from '../seed/seedDemoData.ts'
import { WORKSPACE_ROOT } from './stack.ts'

const DAY_MS = 86_400_000

let database: TestDatabase
let prisma: PrismaClient

beforeAll(async () => {
  database = await createTestDatabase()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'seed test',
    onPoolError: () => undefined,
  })
})

beforeEach(
  () => prisma.$executeRaw`truncate "User", "PreviewSession", "I18nCacheEntry", "Invoice" cascade`,
)

afterAll(async () => {
  await prisma.$disconnect()
  await database.drop()
})

test('fills a database that knows nobody', async () => {
  expect(await seedDemoData(database.url)).toEqual({
    isNew: true,
    demoUsers: [
      { email: 'owner@example.com', role: 'owner' },
      { email: 'admin@example.com', role: 'admin' },
      { email: 'staff@example.com', role: 'staff' },
    ],
  })
  for (const { passwordHash } of await prisma.user.findMany()) {
    expect(await verifyPassword(DEMO_PASSWORD, passwordHash)).toBe(true)
  }
  const now = new Date()
  const sessions = await prisma.previewSession.findMany()
  expect(sessions.filter((one) => !one.revoked && one.expiresAt > now)).toHaveLength(2)
  expect(sessions.filter((one) => !one.revoked && one.expiresAt <= now)).toHaveLength(1)
  expect(sessions.filter((one) => one.revoked)).toHaveLength(1)
  const cutoff = new Date(now.getTime() - 30 * DAY_MS)
  expect(await prisma.i18nCacheEntry.count({ where: { createdAt: { lt: cutoff } } })).toBe(6)
  expect(await prisma.i18nCacheEntry.count({ where: { createdAt: { gte: cutoff } } })).toBe(6)
  const invoices = await prisma.invoice.findMany({
    select: { locale: true, currency: true, grossMinor: true },
    orderBy: { createdAt: 'asc' },
  })
  expect(invoices).toEqual([
    { locale: 'en-GB', currency: 'EUR', grossMinor: 189_250n },
    { locale: 'de-DE', currency: 'EUR', grossMinor: 148_084n },
    { locale: 'ja-JP', currency: 'JPY', grossMinor: 214_200n },
    { locale: 'ar-EG', currency: 'EGP', grossMinor: 1_163_940n },
  ])
  expect(await prisma.invoiceLine.count()).toBe(9)
})

test('a second time changes nothing, and brings back nothing that was removed', async () => {
  await seedDemoData(database.url)
  await prisma.i18nCacheEntry.deleteMany()
  await prisma.previewSession.deleteMany()
  await prisma.invoice.deleteMany()
  await prisma.user.delete({ where: { email: 'staff@example.com' } })
  const before = await prisma.user.findMany({ orderBy: { id: 'asc' } })

  const { isNew, demoUsers } = await seedDemoData(database.url)
  expect(isNew).toBe(false)
  expect(demoUsers.map(({ email }) => email)).toEqual(['owner@example.com', 'admin@example.com'])
  expect(await prisma.user.findMany({ orderBy: { id: 'asc' } })).toEqual(before)
  expect(await prisma.i18nCacheEntry.count()).toBe(0)
  expect(await prisma.previewSession.count()).toBe(0)
  expect(await prisma.invoice.count()).toBe(0)
})

test('leaves a database alone that has users of its own', async () => {
  await prisma.user.create({ data: { email: 'me@example.org', passwordHash: 'x', role: 'owner' } })
  expect(await seedDemoData(database.url)).toEqual({ isNew: false, demoUsers: [] })
  expect(await prisma.user.count()).toBe(1)
  expect(await prisma.previewSession.count()).toBe(0)
})

test('of two at once one adds the data', async () => {
  const results = await Promise.all([seedDemoData(database.url), seedDemoData(database.url)])
  expect(results.filter(({ isNew }) => isNew)).toHaveLength(1)
  expect(await prisma.user.count()).toBe(3)
  expect(await prisma.previewSession.count()).toBe(4)
  expect(await prisma.invoice.count()).toBe(4)
})

test.each([{ NODE_ENV: 'production' }, { NODE_ENV: 'development', REPLIT_DEPLOYMENT: '1' }])(
  'the command refuses in production: %o',
  async (env) => {
    const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/seed.ts'), {
      env: { DATABASE_URL: database.url, REPLIT_DEPLOYMENT: undefined, ...env },
    })
    expect((await command.exited).code).toBe(1)
    expect(command.stderr.join('\n')).toContain('never made in production')
    expect(await prisma.user.count()).toBe(0)
  },
)

test('the command refuses where others reach this machine, unless it is asked for', async () => {
  const run = async (DEMO_DATA?: string) => {
    const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/seed.ts'), {
      env: {
        DATABASE_URL: database.url,
        NODE_ENV: undefined,
        REPLIT_DEPLOYMENT: undefined,
        HOST: '0.0.0.0',
        DEMO_DATA,
      },
    })
    const { code } = await command.exited
    return { code, output: [...command.stdout, ...command.stderr].join('\n') }
  }
  expect(await run()).toMatchObject({ code: 1, output: expect.stringContaining('DEMO_DATA=true') })
  expect(await prisma.user.count()).toBe(0)
  expect(await run('true')).toMatchObject({ code: 0 })
  expect(await prisma.user.count()).toBe(3)
})

test.each([
  ['--help', 0],
  ['-h', 0],
  ['--dry-run', 2],
])('asked for %s, the command explains itself and changes nothing', async (argument, code) => {
  const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/seed.ts'), {
    args: [argument],
    env: { DATABASE_URL: database.url, NODE_ENV: undefined, REPLIT_DEPLOYMENT: undefined },
  })
  expect((await command.exited).code).toBe(code)
  expect([...command.stdout, ...command.stderr].join('\n')).toContain('Usage: pnpm db:seed')
  expect(await prisma.user.count()).toBe(0)
})

test('the command says what it did', async () => {
  const run = async () => {
    const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/seed.ts'), {
      env: { DATABASE_URL: database.url, NODE_ENV: undefined, REPLIT_DEPLOYMENT: undefined },
    })
    expect((await command.exited).code).toBe(0)
    return command.stdout.join('\n')
  }
  expect(await run()).toContain('log in as owner@example.com')
  expect(await run()).toContain('no demo data added')
})
