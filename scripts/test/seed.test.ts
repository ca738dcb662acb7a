// Not quick: starts processes.
import { join } from 'node:path'
import { jobs } from '@roundsman/jobs'
import { demoJobNames } from '@roundsman/jobs/demo'
import {
  listDeadLetters,
  getQueueStats,
  getJobHealth,
  listSchedules,
} from '@roundsman/engine/client'
import { openForTests, spawnProcess } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { beforeEach, expect, test } from 'vitest'
import { verifyPassword } from '@roundsman/db'
import { DEMO_PASSWORD, seedDemoData } from '../seed/seedDemoData.ts'
import { WORKSPACE_ROOT } from './stack.ts'

const DAY_MS = 86_400_000
const byText = (a: string, b: string) => a.localeCompare(b)

const database = openForTests(openTestDatabase)

beforeEach(async () => {
  await database.prisma
    .$executeRaw`truncate "User", "PreviewSession", "I18nCacheEntry", "Invoice" cascade`
  await database.prisma
    .$executeRaw`truncate "JobRun", "JobTick", "JobSchedule", "JobAction", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique", "JobKey"`
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
  for (const { passwordHash } of await database.prisma.user.findMany()) {
    expect(await verifyPassword(DEMO_PASSWORD, passwordHash)).toBe(true)
  }
  const now = new Date()
  const sessions = await database.prisma.previewSession.findMany()
  expect(sessions.filter((one) => !one.revoked && one.expiresAt > now)).toHaveLength(2)
  expect(sessions.filter((one) => !one.revoked && one.expiresAt <= now)).toHaveLength(1)
  expect(sessions.filter((one) => one.revoked)).toHaveLength(1)
  const cutoff = new Date(now.getTime() - 30 * DAY_MS)
  expect(await database.prisma.i18nCacheEntry.count({ where: { createdAt: { lt: cutoff } } })).toBe(
    6,
  )
  expect(
    await database.prisma.i18nCacheEntry.count({ where: { createdAt: { gte: cutoff } } }),
  ).toBe(6)
  const invoices = await database.prisma.invoice.findMany({
    select: { locale: true, currency: true, grossMinor: true },
    orderBy: { createdAt: 'asc' },
  })
  expect(invoices).toEqual([
    { locale: 'en-GB', currency: 'EUR', grossMinor: 189_250n },
    { locale: 'de-DE', currency: 'EUR', grossMinor: 148_084n },
    { locale: 'ja-JP', currency: 'JPY', grossMinor: 214_200n },
    { locale: 'ar-EG', currency: 'EGP', grossMinor: 1_163_940n },
  ])
  expect(await database.prisma.invoiceLine.count()).toBe(9)
})

test('adds jobs of the demo with a week of what can happen, and nothing that is a matter of health', async () => {
  const before = await getJobHealth(database.reader, jobs, new Date())
  await seedDemoData(database.url)

  const failed = await database.prisma.jobRun.groupBy({
    by: ['errorCode'],
    where: { status: 'failed' },
  })
  expect(failed.map(({ errorCode }) => String(errorCode)).toSorted(byText)).toEqual([
    'cancelled',
    'ECONNREFUSED',
    'guard_blocked',
    'handler_failed',
    'order_invalid',
    'shop_unavailable',
    'timeout',
    'worker_lost',
  ])
  const named = await database.prisma.jobRun.groupBy({ by: ['name'] })
  expect(named.map(({ name }) => name).toSorted(byText)).toEqual(
    [...demoJobNames, 'sendWeeklyReport'].toSorted(byText),
  )
  const outcomes = await database.prisma.jobTick.groupBy({ by: ['outcome'] })
  expect(outcomes.map(({ outcome }) => outcome).toSorted(byText)).toEqual([
    'coalesced',
    'enqueued',
    'missed',
    'skipped',
  ])
  const { deadLetters } = await listDeadLetters(database.reader, { limit: 100 })
  expect(new Set(deadLetters.map(({ error }) => error.code))).toEqual(
    new Set(['shop_unavailable', 'order_invalid']),
  )
  const about = new Set(deadLetters.map(({ label }) => label))
  expect(about.size).toBe(deadLetters.length)
  expect([...about][0]).toMatch(/^Order \d+$/)
  const waiting = await getQueueStats(database.reader, ['demoSyncOrder'])
  expect(waiting.map(({ state, count }) => [state, count])).toEqual(
    expect.arrayContaining([
      ['ready', 30],
      ['delayed', 9],
      ['deadLetter', 9],
    ]),
  )
  expect([...(await listSchedules(database.reader, demoJobNames)).keys()]).toHaveLength(4)
  // Nothing lies in the future, and nothing runs, because nobody would end it.
  const [later] = await database.prisma.$queryRaw<{ count: number }[]>`
    select count(*)::int as count from "JobRun" where "endedAt" > now() or "status" = 'running'`
  expect(later?.count).toBe(0)
  expect(await getJobHealth(database.reader, jobs, new Date())).toEqual(before)
})

test('one command removes the jobs of the demo, and nothing else', async () => {
  await seedDemoData(database.url)
  await database.prisma.jobRun.create({
    data: {
      name: 'cleanupI18nCache',
      trigger: 'cli',
      workerId: 'w',
      status: 'success',
      endedAt: new Date(),
    },
  })
  const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/demoRemove.ts'), {
    env: { DATABASE_URL: database.url, NODE_ENV: undefined, REPLIT_DEPLOYMENT: undefined },
  })
  expect(await command.exited).toMatchObject({ code: 0 })
  expect(command.stdout.join('\n')).toMatch(/^Removed [\d,]+ rows of the demo jobs\.$/)

  expect(await database.prisma.jobRun.findMany({ select: { name: true } })).toEqual([
    { name: 'cleanupI18nCache' },
  ])
  expect(await database.prisma.jobTick.count()).toBe(0)
  expect(
    await database.prisma.$queryRaw`
      select "key" from "JobSchedule" union all select "key" from "JobTick"`,
  ).toEqual([])
  expect(await database.prisma.jobAction.count()).toBe(0)
  expect((await listSchedules(database.reader, demoJobNames)).size).toBe(0)
  expect((await listDeadLetters(database.reader, { limit: 1 })).deadLetters).toEqual([])
  expect(await database.prisma.user.count()).toBe(3)
})

test('a second time changes nothing, and brings back nothing that was removed', async () => {
  await seedDemoData(database.url)
  await database.prisma.i18nCacheEntry.deleteMany()
  await database.prisma.previewSession.deleteMany()
  await database.prisma.invoice.deleteMany()
  await database.prisma.user.delete({ where: { email: 'staff@example.com' } })
  const before = await database.prisma.user.findMany({ orderBy: { id: 'asc' } })

  const { isNew, demoUsers } = await seedDemoData(database.url)
  expect(isNew).toBe(false)
  expect(demoUsers.map(({ email }) => email)).toEqual(['owner@example.com', 'admin@example.com'])
  expect(await database.prisma.user.findMany({ orderBy: { id: 'asc' } })).toEqual(before)
  expect(await database.prisma.i18nCacheEntry.count()).toBe(0)
  expect(await database.prisma.previewSession.count()).toBe(0)
  expect(await database.prisma.invoice.count()).toBe(0)
})

test('leaves a database alone that has users of its own', async () => {
  await database.prisma.user.create({
    data: { email: 'me@example.org', passwordHash: 'x', role: 'owner' },
  })
  expect(await seedDemoData(database.url)).toEqual({ isNew: false, demoUsers: [] })
  expect(await database.prisma.user.count()).toBe(1)
  expect(await database.prisma.previewSession.count()).toBe(0)
})

test('of two at once one adds the data', async () => {
  const results = await Promise.all([seedDemoData(database.url), seedDemoData(database.url)])
  expect(results.filter(({ isNew }) => isNew)).toHaveLength(1)
  expect(await database.prisma.user.count()).toBe(3)
  expect(await database.prisma.previewSession.count()).toBe(4)
  expect(await database.prisma.invoice.count()).toBe(4)
})

test.each([{ NODE_ENV: 'production' }, { NODE_ENV: 'development', REPLIT_DEPLOYMENT: '1' }])(
  'the command refuses in production: %o',
  async (env) => {
    const command = spawnProcess(join(WORKSPACE_ROOT, 'scripts/seed.ts'), {
      env: { DATABASE_URL: database.url, REPLIT_DEPLOYMENT: undefined, ...env },
    })
    expect((await command.exited).code).toBe(1)
    expect(command.stderr.join('\n')).toContain('never made in production')
    expect(await database.prisma.user.count()).toBe(0)
  },
)

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
