// Processes: kills one in a batch.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { pruneJobRuns as job } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const PROCESS = new URL('../fixtures/pruneProcess.ts', import.meta.url).pathname
const NOW = new Date('2026-05-01T12:00:00Z')
const DAY_MS = 86_400_000
const daysOld = (days: number) => new Date(NOW.getTime() - days * DAY_MS)

let database: TestRuntime

beforeAll(async () => {
  database = await openTestRuntime()
})
afterAll(() => database.close())

async function insertManyRuns(count: number, days: number): Promise<void> {
  await database.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), 'many', 'success', 'cli', 'somebody', ${daysOld(days)}, ${daysOld(days)}
    from generate_series(1, ${count}::int)`
  await database.prisma.$executeRaw`analyze "JobRun"`
}

const left = () => database.prisma.jobRun.findMany({ where: { name: { not: job.name } } })

describe('pruneJobRuns, killed in a batch', () => {
  const LOCK = 4_711

  it('has counted exactly what it removed, and the next run removes the rest', async () => {
    const { prisma } = database
    await insertManyRuns(1_200, 31)
    await prisma.jobRun.create({
      data: {
        name: 'success 32',
        trigger: 'cli',
        workerId: 'somebody',
        status: 'success',
        startedAt: daysOld(30.5),
        endedAt: daysOld(32),
      },
    })
    await prisma.$executeRawUnsafe(`
      create function hold_row() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(${LOCK}); return old; end $$`)
    await prisma.$executeRawUnsafe(`
      create trigger hold_row before delete on "JobRun"
      for each row when (old."name" = 'success 32') execute function hold_row()`)
    onTestFinished(async () => {
      await prisma.$executeRawUnsafe('drop function hold_row cascade')
    })
    const holder = Promise.withResolvers<void>()
    const held = database.database.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [LOCK])
      await holder.promise
    })
    const killed = spawnProcess(PROCESS, { args: [database.url, NOW.toISOString()] })
    await waitFor(
      async () =>
        (
          await database.rows(
            `select from pg_locks where locktype = 'advisory' and not granted and objid = ${LOCK}
               and database = (select oid from pg_database where datname = current_database())`,
          )
        ).length > 0,
      { message: 'The second batch is under way', timeoutMs: 60_000 },
    )
    await killed.kill('SIGKILL')
    holder.resolve()
    await held

    const next = await waitFor(async () => {
      const result = await runOnce({
        schema: 'public',
        databaseUrl: database.url,
        // The engine's connections are what it works with: the host's client is never asked.
        client: { $transaction: () => Promise.reject(new Error('not asked')) },
        job,
        handler: undefined,
        now: () => NOW,
        log: database.log,
      })
      return result.kind === 'ended' && result.run
    })

    expect(next).toMatchObject({ status: 'success', details: { succeeded: 201, batches: 1 } })
    expect(await prisma.jobRun.findMany({ where: { name: job.name, status: 'failed' } })).toEqual([
      expect.objectContaining({
        errorCode: 'worker_lost',
        details: expect.objectContaining({ succeeded: 1_000, batches: 1 }),
      }),
    ])
    expect(await left()).toEqual([])
  })
})
