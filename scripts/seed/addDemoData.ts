import { createHash, randomBytes } from 'node:crypto'
import {
  createDatabaseClient,
  hashPassword,
  type Prisma,
  type PrismaClient,
  type Role,
} from '@roundsman/db'
import { createInvoice } from '../../apps/api/src/invoices/writeInvoice.ts'
import { findTranslation } from '../../apps/api/src/translations/findTranslation.ts'
import type { InvoiceBody } from '../../apps/api/src/invoices/invoiceBody.ts'
import { createJobsClient } from '@roundsman/engine/client'
import { sendWeeklyReport } from '@roundsman/jobs'
import {
  DEMO_LIMITED_TENANT,
  demoImportCatalogue,
  demoJobNames,
  demoOpenShop,
} from '@roundsman/jobs/demo'
import { DEMO_HISTORY, DEMO_KEY, OFFICE, PAUSED_TENANT } from './demoHistory.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

// Any constant will do, if every process that seeds uses the same.
const SEED_LOCK = 7_266_437_010

const ZONES = [
  ...['Europe/Lisbon', 'Europe/Berlin', 'Africa/Nairobi', 'Asia/Kolkata', 'Asia/Tokyo'],
  ...['Australia/Lord_Howe', 'America/New_York', 'America/Los_Angeles', 'UTC'],
]

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
    for (const [index, invoice] of INVOICES.entries()) {
      await createInvoice(tx, invoice, new Date(Date.now() - (INVOICES.length - index) * DAY_MS))
    }
    // Users may have been removed, and the jobs' history not.
    const isThere = await tx.jobSchedule.findFirst({ where: { name: { in: [...demoJobNames] } } })
    if (accounts.withJobs && isThere === null) {
      await addCustomers(tx, url)
      for (const sql of DEMO_HISTORY) await tx.$executeRawUnsafe(sql)
    }
    return true
  }, TRANSACTION)
}

/** Adds weekly reports of customers in their zones, of which some are paused, and catalogues of tenants that wait. */
async function addCustomers(tx: Prisma.TransactionClient, url: string): Promise<void> {
  const { schedules, enqueue, enqueueMany } = createJobsClient({
    databaseUrl: url,
    schema: 'public',
  })
  const entries = Array.from({ length: 400 }, (_, index) => ({
    key: `${DEMO_KEY}${String(index + 1).padStart(4, '0')}`,
    cron: `${(index % 4) * 15} ${7 + (index % 3)} * * ${1 + (index % 5)}`,
    timeZone: ZONES[index % ZONES.length] ?? 'UTC',
    // These addresses have no invoices, so the job mails no report.
    payload: { customerEmail: `customer-${index + 1}@example.com` },
    actor: OFFICE,
    reason: 'They signed up',
  }))
  await schedules.upsertMany(tx, sendWeeklyReport, entries)
  const changed = entries.filter((_, index) => index % 25 === 3)
  const fridays = { cron: '0 16 * * 5', reason: 'They asked for Fridays' }
  const moved = changed.map((entry) => ({ ...entry, ...fridays }))
  await schedules.upsertMany(tx, sendWeeklyReport, moved)
  for (const { key } of entries.filter((_, index) => index % 40 === 7)) {
    const by = { actor: OFFICE, reason: 'They have not paid' }
    await schedules.pause(tx, sendWeeklyReport, key, by)
  }
  await enqueue(tx, demoOpenShop, { shop: 'Northwind Cycles' })
  const pages = (tenant: string, count: number) =>
    Array.from({ length: count }, (_, index) => ({ payload: { tenant, page: index + 1 } }))
  const small = Array.from({ length: 40 }, (_, index) => {
    return pages(`tenant-${String(index + 1).padStart(3, '0')}`, 1 + (index % 3))
  })
  await enqueueMany(tx, demoImportCatalogue, [
    ...pages('tenant-acme', 300),
    ...pages(PAUSED_TENANT, 12),
    ...pages(DEMO_LIMITED_TENANT, 8),
    ...small.flat(),
  ])
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

/** Invoices that differ on the page: in language, digits, direction, and a currency without minor unit. */
const INVOICES: readonly InvoiceBody[] = [
  toInvoice('en-GB', 'EUR', 'Example Ltd', '1 Example Street', [
    line('Consulting', 7.5, 12_000, 2_000),
    line('Spring catalogue, printed', 250, 349, 0),
    line('Discount', 1, -5_000, 2_000),
  ]),
  toInvoice('de-DE', 'EUR', 'Beispiel GmbH', 'Beispielstraße 1', [
    line('Beratung, Stunden', 12.25, 9_500, 1_900),
    line('Fachbuch „Größen und Maße“', 3, 2_990, 700),
  ]),
  toInvoice('ja-JP', 'JPY', '例株式会社', '東京都例区例町1-1', [
    line('デザイン業務', 1, 180_000, 1_000),
    line('茶葉', 12, 1_250, 800),
  ]),
  toInvoice('ar-EG', 'EGP', 'شركة المثال', 'شارع المثال 1', [
    line('خدمات استشارية', 4, 150_000, 1_400),
    line('ورق A4', 20, 21_050, 1_400),
  ]),
]

function toInvoice(
  locale: string,
  currency: string,
  name: string,
  street: string,
  lines: InvoiceBody['lines'],
): InvoiceBody {
  const customer = { name, address: [street], email: 'accounts@example.com' }
  return { customer, currency, locale, lines }
}

function line(
  description: string,
  units: number,
  unitPriceMinor: number,
  taxRateBasisPoints: number,
): InvoiceBody['lines'][number] {
  return { description, quantity: units * 1_000, unitPriceMinor, taxRateBasisPoints }
}
