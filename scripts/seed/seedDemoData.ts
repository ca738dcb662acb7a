import { createHash, randomBytes } from 'node:crypto'
import {
  createDatabaseClient,
  hashPassword,
  type PrismaClient,
} from '../../packages/db/src/index.ts'
import { createInvoice } from '../../apps/api/src/invoices/writeInvoice.ts'
import { findTranslation } from '../../apps/api/src/findTranslation.ts'
import { demoInvoices } from './demoInvoices.ts'

export const DEMO_PASSWORD = 'roundsman-demo'

const DEMO_USERS = [
  { email: 'owner@example.com', role: 'owner' },
  { email: 'admin@example.com', role: 'admin' },
  { email: 'staff@example.com', role: 'staff' },
] as const

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

// Any constant will do; it only has to be the same in every process that seeds.
const SEED_LOCK = 7_266_437_010

export interface SeedResult {
  isNew: boolean
  /** Those of the demo users who exist: somebody may have removed one on purpose. */
  demoUsers: { email: string; role: string }[]
}

/**
 * Fills a database that knows nobody with demo data: all of it or, when it is interrupted, none. One that
 * has a user was seeded before or is somebody's own; nothing is added to it, so that what clean-ups and
 * people removed stays removed.
 */
export async function seedDemoData(url: string): Promise<SeedResult> {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'roundsman seed',
    poolSize: 2,
    onPoolError: () => undefined,
  })
  try {
    const isNew = (await hasNobody(prisma)) && (await seed(prisma))
    const demoUsers = await prisma.user.findMany({
      where: { email: { in: DEMO_USERS.map(({ email }) => email) } },
      select: { email: true, role: true },
      orderBy: { role: 'asc' },
    })
    return { isNew, demoUsers }
  } finally {
    await prisma.$disconnect()
  }
}

async function hasNobody(prisma: Pick<PrismaClient, 'user'>): Promise<boolean> {
  return (await prisma.user.findFirst({ select: { id: true } })) === null
}

/** False if somebody else was faster. */
async function seed(prisma: PrismaClient): Promise<boolean> {
  const users = await Promise.all(
    DEMO_USERS.map(async (user) => ({ ...user, passwordHash: await hashPassword(DEMO_PASSWORD) })),
  )
  return prisma.$transaction(async (tx) => {
    await tx.$queryRaw`select pg_advisory_xact_lock(${SEED_LOCK})::text`
    if (!(await hasNobody(tx))) return false
    await tx.user.createMany({ data: users })
    await tx.previewSession.createMany({ data: demoPreviewSessions(new Date()) })
    await tx.i18nCacheEntry.createMany({ data: demoTranslations(new Date()) })
    for (const { invoice, createdAt } of demoInvoices(new Date())) {
      await createInvoice(tx, invoice, createdAt)
    }
    return true
  })
}

/** Two that are valid, and one of each kind that the clean-up is there for. */
function demoPreviewSessions(now: Date) {
  const session = (label: string, ageMs: number, ttlMs: number, revoked = false) => ({
    label,
    revoked,
    // Nobody knows the tokens: who wants to open a preview makes one.
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

/** Some looked up recently, others long enough ago for the clean-up. */
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
