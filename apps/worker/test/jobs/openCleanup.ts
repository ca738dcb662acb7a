import type { PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/engine'
import { runOnce, type RunOnceOptions } from '@roundsman/engine/worker'
import { fakeClock } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import type { Handler } from '../../src/jobs/handler.ts'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

/** Not far from the present: child processes have no other clock. */
export const NOW = new Date()
const clock = fakeClock(NOW.toISOString())
const log = pino({ level: 'silent' })

/** A database of its own for the tests of a clean-up, which each find it empty. */
export function openCleanup<J extends Job>(itsJob: J, handler: Handler<J>) {
  // Tests make any number of rows due; the guard has tests of its own.
  const job = { ...itsJob, guard: null }
  let database: WorkerDatabase
  beforeAll(async () => {
    database = await openWorkerDatabase()
  })
  afterAll(() => database.close())
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "PreviewSession", "I18nCacheEntry", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
  )

  const runs = async () =>
    (await database.prisma.jobRun.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })).map(
      withoutStack,
    )
  return {
    job,
    database: () => database,
    prisma: () => database.prisma,
    run: (options: Partial<RunOnceOptions<J, PrismaClient>> = {}) =>
      runOnce({
        schema: 'public',
        databaseUrl: database.url,
        client: database.prisma,
        job,
        handler,
        log,
        now: clock.now,
        ...options,
      }),
    runs,
    /** Expects exactly these runs, with exactly these details. */
    expectRuns: async (...expected: object[]) =>
      expect(await runs()).toEqual(expected.map((each) => expect.objectContaining(each))),
  }
}

/** Without the stack: these tests do not care where an error was thrown. */
function withoutStack<Run extends { details: unknown }>(run: Run): Run {
  const { error, ...others } = (run.details ?? {}) as { error?: { stack?: string } }
  if (error === undefined) return run
  const { stack: _, ...rest } = error
  return { ...run, details: { ...others, error: rest } }
}
