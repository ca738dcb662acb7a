import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Prisma, type PrismaClient } from '@roundsman/db'
import { cleanupI18nCache, jobs } from '@roundsman/jobs'
import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { openPrisma } from '../product.ts'

const RUNS = 120
const DEAD_LETTERS = 60
const MINUTE_MS = 60_000

/**
 * Fills the database with what requests can be about: the demo data, and what only workers make: runs of every kind, ticks,
 * schedules and dead letters.
 */
export async function prepareDatabase(url: string): Promise<void> {
  await seed(url)
  const prisma = openPrisma(url, 'roundsman fuzz', { poolSize: 2 })
  try {
    await addSchedules(prisma)
    await addRuns(prisma)
    await addDeadLetters(prisma)
  } finally {
    await prisma.$disconnect()
  }
}

/** Runs migrations and demo data as a user would. */
async function seed(url: string): Promise<void> {
  const scripts = join(import.meta.dirname, '../../../../scripts')
  const args = [join(scripts, 'source.ts'), join(scripts, 'seed.ts')]
  const env = { ...process.env, DATABASE_URL: url, HOST: '127.0.0.1', NODE_ENV: 'test' }
  await promisify(execFile)(process.execPath, args, { env })
}

async function addSchedules(prisma: PrismaClient): Promise<void> {
  const scheduled = jobs.flatMap(({ name, schedule }) => (schedule ? [{ name, ...schedule }] : []))
  const now = Date.now()
  await prisma.jobSchedule.createMany({
    data: scheduled.map(({ name, cron, timeZone }) => ({
      name,
      cron,
      timeZone: timeZone ?? 'UTC',
      cursor: new Date(now),
      // Requests resume it, and then pause it again.
      pausedAt: new Date(now),
      pausedBy: 'fuzz',
    })),
    skipDuplicates: true,
  })
  await prisma.jobTick.createMany({
    data: scheduled.flatMap(({ name }) =>
      (['enqueued', 'coalesced', 'missed', 'skipped'] as const).flatMap((outcome, kind) =>
        Array.from({ length: 20 }, (_, index) => ({
          name,
          outcome,
          scheduledFor: new Date(now - (index * 4 + kind + 1) * MINUTE_MS),
          reason: outcome === 'enqueued' ? null : 'fuzz',
          workerId: 'fuzz',
        })),
      ),
    ),
    skipDuplicates: true,
  })
}

async function addRuns(prisma: PrismaClient): Promise<void> {
  const now = Date.now()
  await prisma.jobRun.createMany({
    data: Array.from({ length: RUNS }, (_, index) => {
      const startedAt = new Date(now - index * MINUTE_MS)
      const endedAt = new Date(startedAt.getTime() + 1_234)
      const { name } = jobs[index % jobs.length] ?? cleanupI18nCache
      const run = { name, startedAt, trigger: 'queue' as const, workerId: 'fuzz' }
      switch (index % 8) {
        case 0:
        case 1:
          return { ...run, progress: { done: 1, total: null } }
        case 2:
          return { ...run, endedAt, status: 'success' as const, details: { cleaned: index } }
        case 3:
          return {
            ...run,
            endedAt,
            status: 'failed' as const,
            errorCode: 'handler_failed',
            details: { error: { code: 'handler_failed', message: '=1+1, "quoted"\n' } },
          }
        default:
          // For requests that approve runs, which each can be once.
          return {
            ...run,
            name: cleanupI18nCache.name,
            endedAt,
            status: 'failed' as const,
            errorCode: 'guard_blocked',
            details: { error: { code: 'guard_blocked', message: 'Too many' }, guard: { due: 5 } },
          }
      }
    }),
  })
  await prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
}

async function addDeadLetters(prisma: PrismaClient): Promise<void> {
  await prisma.$executeRaw`
    insert into "JobDeadLetter" ("id", "name", "bytes", "errorCode", "errorMessage", "payload")
    select gen_random_uuid(), ${cleanupI18nCache.name}, 2, 'handler_failed', 'given up', '{}'
    from generate_series(1, ${DEAD_LETTERS}::int)`
}
