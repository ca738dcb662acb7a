import { createHash, randomBytes } from 'node:crypto'
import { createDatabaseClient, hashPassword, type PrismaClient, type Role } from '@roundsman/db'
import { createInvoice } from '../../apps/api/src/invoices/writeInvoice.ts'
import { findTranslation } from '../../apps/api/src/translations/findTranslation.ts'
import { demoJobNames } from '@roundsman/jobs/demo'
import { addCustomerSchedules } from './addCustomerSchedules.ts'
import { addTenants } from './addTenants.ts'
import { demoHistoryStatements } from './demoHistorySql.ts'
import { demoInvoices } from './demoInvoices.ts'
import { makeDemoHistory } from './makeDemoHistory.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

// Any constant will do, if every process that seeds uses the same.
const SEED_LOCK = 7_266_437_010

/** Prisma's default of five seconds is too short on a machine that is busy with its first start. */
const TRANSACTION = { timeout: 60_000, maxWait: 30_000 }

export interface DemoAccounts {
  users: readonly { email: string; role: Role }[]
  /** The password of each of them. */
  password: string
  /** Whether to add the demo's jobs, with a week of their history. */
  withJobs: boolean
}

/** Adds all demo data or, when it is interrupted, none. Returns false if another process was faster. */
export async function addDemoData(url: string, accounts: DemoAccounts): Promise<boolean> {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'roundsman seed',
    poolSize: 2,
    onPoolError: () => undefined,
  })
  try {
    return await seed(prisma, accounts, url)
  } finally {
    await prisma.$disconnect()
  }
}

/** Adds the data in one transaction, under a lock, unless the database has a user. */
async function seed(prisma: PrismaClient, accounts: DemoAccounts, url: string): Promise<boolean> {
  // One hash for all users: the password is no secret, and each hash takes long on purpose.
  const passwordHash = await hashPassword(accounts.password)
  const users = accounts.users.map((user) => ({ ...user, passwordHash }))
  return prisma.$transaction(async (tx) => {
    await tx.$queryRaw`select pg_advisory_xact_lock(${SEED_LOCK})::text`
    if ((await tx.user.findFirst({ select: { id: true } })) !== null) return false
    await tx.user.createMany({ data: users })
    await tx.previewSession.createMany({ data: demoPreviewSessions(new Date()) })
    await tx.i18nCacheEntry.createMany({ data: demoTranslations(new Date()) })
    for (const { invoice, createdAt } of demoInvoices(new Date())) {
      await createInvoice(tx, invoice, createdAt)
    }
    // Users may have been removed, and the jobs' history not.
    const isThere = await tx.jobSchedule.findFirst({ where: { name: { in: [...demoJobNames] } } })
    if (accounts.withJobs && isThere === null) {
      const statements = demoHistoryStatements(makeDemoHistory(new Date()))
      for (const [sql, rows] of statements) await tx.$executeRawUnsafe(sql, rows)
      await addCustomerSchedules(tx, url, new Date())
      await addTenants(tx, url, new Date())
    }
    return true
  }, TRANSACTION)
}

/** Two sessions that are valid, and one of each kind that the clean-up looks for. */
function demoPreviewSessions(now: Date) {
  const session = (label: string, ageMs: number, ttlMs: number, revoked = false) => ({
    label,
    revoked,
    // Nobody knows these tokens: whoever wants to open a preview makes one.
    tokenHash: createHash('sha256').update(randomBytes(32)).digest('hex'),
    createdAt: new Date(now.getTime() - ageMs),
    expiresAt: new Date(now.getTime() - ageMs + ttlMs),
  })
  return [
    session('Spring catalogue', HOUR_MS, 7 * DAY_MS),
    session('Price list, draft', HOUR_MS, DAY_MS),
    session('Winter catalogue (expired)', 2 * DAY_MS, DAY_MS),
    session('Press release (revoked)', 2 * DAY_MS, 30 * DAY_MS, true),
  ]
}

/** Translations: some looked up recently, others so long ago that the clean-up removes them. */
function demoTranslations(now: Date) {
  const keys = {
    recent: ['common.save', 'login.submit'],
    old: ['invoice.title', 'invoice.overdue'],
  }
  const entries = (locale: string, names: string[], ageDays: number) =>
    names.flatMap((key) => {
      const value = findTranslation(locale, key)
      const createdAt = new Date(now.getTime() - ageDays * DAY_MS)
      return value === undefined ? [] : [{ locale, key, value, createdAt }]
    })
  return ['de', 'en', 'fr'].flatMap((locale) => [
    ...entries(locale, keys.recent, 1),
    ...entries(locale, keys.old, 45),
  ])
}
