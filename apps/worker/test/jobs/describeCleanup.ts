import { join } from 'node:path'
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { JobError, type Counts, type Job } from '@roundsman/engine'
import { createWorker, runOnce, type RunOnceOptions } from '@roundsman/engine/worker'
import { fakeClock, readWorkState, spawnProcess, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Handler } from '../../src/jobs/handler.ts'
import {
  execute,
  firstLook,
  findQuery,
  queryRows,
  quoted,
  sql,
  type SweepTarget,
} from '@roundsman/sweep'
import { enqueue } from '../enqueue.ts'
import { holdRow } from '../holdRow.ts'
import { holdTransaction } from '../holdTransaction.ts'
import { openWorkerDatabase, type WorkerDatabase } from '../openWorkerDatabase.ts'

/** A clean-up, and what its tests need to know to break it. */
export interface Cleanup<J extends Job> {
  job: J
  handler: Handler<J>
  table: 'PreviewSession' | 'I18nCacheEntry'
  /** The column in which `insertDue` numbers its rows. */
  numberColumn: 'label' | 'key'
  /** Inserts rows that are due at NOW, numbered from 1 in the order in which they are cleaned. */
  insertDue(prisma: PrismaClient, count: number): Promise<unknown>
  /** Inserts rows that become due much later. */
  insertOthers(prisma: PrismaClient, count: number): Promise<unknown>
  /** Counts the rows of `insertDue` that are left. */
  countDue(prisma: PrismaClient): Promise<number>
  /** The counts of a run of so many rows, without its batches. */
  counts(cleaned: number): object
  /** What a successful run tells besides its counts. */
  facts: object
  target: SweepTarget
  /** The index by which each of the target's finders should find its rows. */
  indexes: string[]
}

/** Not far from the present: child processes have no other clock. */
export const NOW = new Date()
const CLI = join(import.meta.dirname, '../../src/cli.ts')

const WORKER_LOST = { code: 'worker_lost', message: expect.any(String) }
const CANCELLED = { code: 'cancelled', message: 'No longer wanted' }
const cancellation = new JobError(CANCELLED.code, CANCELLED.message, { retryable: false })

const log = pino({ level: 'silent' })
const clock = fakeClock(NOW.toISOString())

/** A database of its own for the tests of a clean-up, which each find empty, and what they do with it. */
function openCleanup<J extends Job>(cleanup: Cleanup<J>) {
  const { handler, table, target, numberColumn } = cleanup
  // Tests make any number of rows due; the guard has tests of its own.
  const job = { ...cleanup.job, guard: null }
  let database: WorkerDatabase
  let prisma: PrismaClient

  beforeAll(async () => {
    database = await openWorkerDatabase()
    prisma = database.prisma
  })
  afterAll(() => database.close())
  beforeEach(
    () =>
      prisma.$executeRaw`truncate "PreviewSession", "I18nCacheEntry", "JobRun", "JobClaim", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
  )

  const run = (options: Partial<RunOnceOptions<J, PrismaClient>> = {}) =>
    runOnce({
      schema: 'public',
      databaseUrl: database.url,
      client: prisma,
      job,
      handler,
      log,
      now: clock.now,
      ...options,
    })
  const ofSuccess = (cleaned: number, batches: unknown) => ({
    status: 'success',
    details: { ...cleanup.counts(cleaned), batches, ...cleanup.facts },
  })
  const ofFailure = (cleaned: number, batches: number, error: object) => ({
    status: 'failed',
    details: { ...cleanup.counts(cleaned), batches, error },
  })
  const runs = async () =>
    (await prisma.jobRun.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })).map(
      withoutStack,
    )
  /** Expects exactly these runs, with exactly these details. */
  const expectRuns = async (...expected: object[]) =>
    expect(await runs()).toEqual(expected.map((each) => expect.objectContaining(each)))
  const holdNumber = (number: number) =>
    holdRow(prisma, table, `old."${numberColumn}" = '${number}'`)

  /** Inserts so many due rows that the clean-up takes them in the given order. */
  async function insertDueFor(count: number, order: 'index' | 'pages'): Promise<void> {
    await cleanup.insertDue(prisma, count)
    const { isAll } = await prisma.$transaction((tx) => firstLook(tx, target))
    expect(isAll).toBe(order === 'index')
  }
  /** Inserts so many others that the job's own guard finds little due. */
  async function insertManyOthers(): Promise<void> {
    await cleanup.insertOthers(prisma, 50_000)
    await prisma.$executeRawUnsafe(`analyze "${table}"`)
  }

  /** Whether nobody is changing the table any more. */
  const isQuiet = async () => {
    const writers = await prisma.$queryRaw<unknown[]>`
      select from pg_locks where relation = ${`"${table}"`}::regclass and mode = 'RowExclusiveLock'
        and database = (select oid from pg_database where datname = current_database())`
    return writers.length === 0
  }

  return {
    job,
    opened: () => database,
    run,
    runs,
    ofSuccess,
    ofFailure,
    expectRuns,
    holdNumber,
    insertDueFor,
    insertManyOthers,
    isQuiet,
  }
}

/**
 * Describes what holds for every clean-up, however it is interrupted, and returns what the clean-up's own tests need.
 */
export function describeCleanup<J extends Job>(cleanup: Cleanup<J>) {
  const { handler, table, target, numberColumn } = cleanup
  const { job, opened, run, ofSuccess, ofFailure, ...shared } = openCleanup(cleanup)
  const { expectRuns, holdNumber, insertDueFor, insertManyOthers, isQuiet } = shared
  let database: WorkerDatabase
  let prisma: PrismaClient
  beforeAll(() => {
    database = opened()
    prisma = database.prisma
  })

  /** What a dry run tells of the rows that are due now. */
  async function findings() {
    const [found] = await queryRows<{ oldest: Date; newest: Date; ids: string[] }>(
      prisma,
      sql`
      select min(${quoted(target.date)}) as "oldest", max(${quoted(target.date)}) as "newest",
             array_agg("id"::text) as "ids"
      from ${quoted(table)} where ${target.due}`,
    )
    const { oldest, newest, ids } = found!
    const isSample = (sample: string[]) =>
      new Set(sample).size === Math.min(10, ids.length) && sample.every((id) => ids.includes(id))
    return {
      oldest: oldest.toISOString(),
      newest: newest.toISOString(),
      sample: expect.toSatisfy(isSample),
    }
  }

  /**
   * Moves the last of 20,000 rows to the front of the table. Removed rows have to have left room there, which the
   * vacuum frees.
   */
  async function moveLastToFront(client: PrismaClient): Promise<void> {
    const number = `"${numberColumn}"`
    await client.$executeRawUnsafe(`vacuum "${table}"`)
    await client.$executeRawUnsafe(
      `update "${table}" set ${number} = '-' || ${number} where ${number}::int > 19900`,
    )
    const [moved] = await client.$queryRawUnsafe<object[]>(
      `select count(*)::int, (min(ctid)::text::point)[0]::int as page from "${table}" where ${number} like '-%'`,
    )
    expect(moved).toEqual({ count: 100, page: 0 })
  }

  /** Starts a worker in this process, with retries at once. */
  async function startWorker() {
    const impatient = { ...job, retry: { limit: 1, delayMs: 1, maxDelayMs: 1 } }
    const worker = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: database.url,
      client: prisma,
      jobs: [impatient],
      handlers: { [job.name]: handler } as never,
      log,
    })
    await worker.start()
    onTestFinished(() => worker.stop())
  }

  describe('in any case', () => {
    it('finds nothing to do in an empty table, and records a run that says so', async () => {
      const result = await run()

      expect(result).toMatchObject({ kind: 'ended', run: { status: 'success' } })
      await expectRuns({ ...ofSuccess(0, 0), dryRun: false, trigger: 'cli', attempt: 1 })
    })

    it('cleans nothing the second time, and still records a run', async () => {
      await cleanup.insertDue(prisma, 3)

      await run()
      await run()

      await expectRuns(ofSuccess(3, 1), ofSuccess(0, 0))
    })

    it('cleans more rows than a batch holds, and counts rows and batches', async () => {
      await cleanup.insertDue(prisma, 1_900)
      await cleanup.insertOthers(prisma, 10)

      await run()

      await expectRuns(ofSuccess(1_900, 2))
      expect(await cleanup.countDue(prisma)).toBe(0)
    })

    it('counts a full batch, and no empty one after it', async () => {
      await cleanup.insertDue(prisma, 1_000)

      await run()

      await expectRuns(ofSuccess(1_000, 1))
    })

    it.each([
      { order: 'index', count: 5 },
      { order: 'pages', count: 20_000 },
    ] as const)(
      'passes over rows that somebody holds locked, says how many, and cleans them the next time, by $order',
      async ({ order, count }) => {
        await insertDueFor(count, order)
        const release = await holdTransaction(prisma, (tx) =>
          tx.$queryRawUnsafe(
            `select 1 from "${table}" where "${numberColumn}" in ('2', '${count - 1}') for update`,
          ),
        )

        await run()
        expect(await cleanup.countDue(prisma)).toBe(2)
        await release()
        await run()

        expect(await cleanup.countDue(prisma)).toBe(0)
        const first = ofSuccess(count - 2, expect.any(Number))
        await expectRuns({ ...first, details: { ...first.details, stillDue: 2 } }, ofSuccess(2, 1))
      },
    )

    it.each([
      { order: 'index', count: 1_500 },
      { order: 'pages', count: 20_000 },
    ] as const)(
      'counts in a dry run what a real one would change, changes nothing, and is recorded as dry, by $order',
      async ({ order, count }) => {
        await insertDueFor(count, order)
        const found = await findings()

        await run({ dryRun: true })
        expect(await cleanup.countDue(prisma)).toBe(count)
        await run()

        const counted = ofSuccess(count, expect.any(Number))
        await expectRuns(
          { ...counted, details: { ...counted.details, ...found }, dryRun: true },
          { ...counted, dryRun: false },
        )
      },
    )

    it('says in a dry run that nothing is due', async () => {
      await cleanup.insertOthers(prisma, 3)

      await run({ dryRun: true })

      const { status, details } = ofSuccess(0, 0)
      await expectRuns({ status, details: { ...details, oldest: null, newest: null, sample: [] } })
    })

    it('leaves out of a dry run what somebody holds locked', async () => {
      await cleanup.insertDue(prisma, 5)
      await holdTransaction(prisma, (tx) =>
        tx.$queryRawUnsafe(`select 1 from "${table}" where "${numberColumn}" = '1' for update`),
      )

      await run({ dryRun: true })

      await expectRuns({
        details: expect.objectContaining({ cleaned: 4, batches: 1, stillDue: 1 }),
      })
    })

    it.each([
      { due: 111, stillDue: 111 },
      { due: 10_001, stillDue: 'over 10,000' },
    ])('has not found nothing to do where all of it is locked: $due', async ({ due, stillDue }) => {
      await cleanup.insertDue(prisma, due)
      await holdTransaction(prisma, (tx) =>
        tx.$queryRawUnsafe(`select 1 from "${table}" for update`),
      )

      await run()

      const { details } = ofSuccess(0, 0)
      await expectRuns({ status: 'success', details: { ...details, stillDue } })
    })

    it('cleans all that is due in a big table page by page, and nothing else', async () => {
      await cleanup.insertOthers(prisma, 5_000)
      await insertDueFor(20_000, 'pages')

      await run()

      expect(await cleanup.countDue(prisma)).toBe(0)
      await expectRuns(ofSuccess(20_000, expect.any(Number)))
    })

    it('cleans the little that is due of a big table wherever it lies', async () => {
      await cleanup.insertDue(prisma, 3_000)
      await cleanup.insertOthers(prisma, 50_000)
      const number = quoted(numberColumn)
      await execute(
        prisma,
        sql`update ${quoted(table)} set ${number} = '-1500' where ${number} = '1500' and ${target.due}`,
      )

      const result = await run()

      expect(result).toMatchObject({ run: { details: cleanup.counts(3_000) } })
      expect(await cleanup.countDue(prisma)).toBe(0)
    })

    it('goes page by page, and cleans in the end what was put behind it meanwhile', async () => {
      // In a table of its own: statistics learn late how many dead rows earlier tests left.
      const elsewhere = await openWorkerDatabase()
      onTestFinished(() => elsewhere.close())
      const client = elsewhere.prisma
      await cleanup.insertDue(client, 20_000)
      const { isAll } = await client.$transaction((tx) => firstLook(tx, target))
      expect(isAll).toBe(false)
      let isFirst = true
      const disturbed: Handler<J> = (context) =>
        handler({
          ...context,
          batch: async (work) => {
            const counts = await context.batch(work)
            // The second may already come to the last rows, however quick the machine is.
            if (isChange(counts) && isFirst) await moveLastToFront(client)
            isFirst &&= !isChange(counts)
            return counts
          },
        })

      const result = await run({ databaseUrl: elsewhere.url, client, handler: disturbed })

      expect(result).toMatchObject({ run: { details: cleanup.counts(20_000) } })
      expect(await cleanup.countDue(client)).toBe(0)
    })

    it('refuses a cut-off that lies in the future by the clock of the database', async () => {
      await cleanup.insertDue(prisma, 3)

      await run({ now: () => new Date(NOW.getTime() + 400 * 86_400_000) })

      expect(await cleanup.countDue(prisma)).toBe(3)
      await expectRuns({
        status: 'failed',
        details: { error: { code: 'cutoff_invalid', message: expect.any(String) } },
      })
    })

    it('changes nothing when its guard finds more due than it allows', async () => {
      await cleanup.insertDue(prisma, 3)

      await run({ job: { ...job, guard: { maxRows: 2 } } })

      expect(await cleanup.countDue(prisma)).toBe(3)
      await expectRuns({
        status: 'failed',
        details: {
          guard: { due: 3, allowed: 2 },
          error: { code: 'guard_blocked', message: expect.any(String) },
        },
      })
    })

    describe('with its own guard', () => {
      const runGuarded = (dryRun = false) => run({ job: cleanup.job, dryRun })
      const { maxShare = 0, minRows = 0 } = cleanup.job.guard ?? {}

      it('empties a table that is not big', async () => {
        await cleanup.insertDue(prisma, minRows)

        await runGuarded()

        expect(await cleanup.countDue(prisma)).toBe(0)
        await expectRuns(ofSuccess(minRows, expect.any(Number)))
      })

      it('does not empty one that is, and says so in a dry run', async () => {
        await cleanup.insertDue(prisma, minRows + 1)

        await runGuarded()
        await runGuarded(true)

        expect(await cleanup.countDue(prisma)).toBe(minRows + 1)
        const guard = expect.objectContaining({ due: minRows + 1, allowed: minRows })
        const error = { code: 'guard_blocked', message: expect.any(String) }
        await expectRuns(
          { status: 'failed', details: { guard, error } },
          { status: 'success', details: expect.objectContaining({ guard }) },
        )
      })

      it('takes from a big one what is not more than its share', async () => {
        await cleanup.insertDue(prisma, minRows + 1)
        await insertManyOthers()

        await runGuarded()

        expect(await cleanup.countDue(prisma)).toBe(0)
        const total = minRows + 1 + 50_000
        const guard = { due: minRows + 1, total, allowed: Math.floor(total * maxShare) }
        const { status, details } = ofSuccess(minRows + 1, expect.any(Number))
        await expectRuns({ status, details: { ...details, guard } })
      })

      it('takes it from one that has grown since somebody looked how large it is', async () => {
        await cleanup.insertDue(prisma, minRows + 1)
        await cleanup.insertOthers(prisma, minRows)
        await prisma.$executeRawUnsafe(
          `update pg_class set reltuples = 1, relpages = 100000 where oid = '"${table}"'::regclass`,
        )

        await runGuarded()

        expect(await cleanup.countDue(prisma)).toBe(0)
        const total = 2 * minRows + 1
        const guard = { due: minRows + 1, total, allowed: Math.floor(total * maxShare) }
        const { status, details } = ofSuccess(minRows + 1, expect.any(Number))
        await expectRuns({ status, details: { ...details, guard } })
      })
    })

    it('does not depend on the time zone of the database', async () => {
      const elsewhere = await openWorkerDatabase()
      onTestFinished(() => elsewhere.close())
      const name = new URL(elsewhere.url).pathname.slice(1)
      await elsewhere.prisma.$executeRawUnsafe(
        `alter database "${name}" set timezone = 'Pacific/Kiritimati'`,
      )
      // New connections get the zone.
      const client = createDatabaseClient({
        url: elsewhere.url,
        applicationName: 'tests',
        onPoolError: () => undefined,
      })
      onTestFinished(() => client.$disconnect())
      await cleanup.insertDue(client, 3)
      await cleanup.insertOthers(client, 3)

      const result = await run({ databaseUrl: elsewhere.url, client })

      expect(result).toMatchObject({ run: { details: cleanup.counts(3) } })
      expect(await cleanup.countDue(client)).toBe(0)
    })
  })

  describe('interrupted', () => {
    it('aborted after a batch: fails with the counts of that batch, and the next run does the rest', async () => {
      await cleanup.insertDue(prisma, 2_000)
      const stop = new AbortController()
      const abortAfterABatch: Handler<J> = (context) =>
        handler({
          ...context,
          batch: async (work) => {
            const counts = await context.batch(work)
            if (isChange(counts)) stop.abort(cancellation)
            return counts
          },
        })

      await run({ handler: abortAfterABatch, signal: stop.signal })
      expect(await cleanup.countDue(prisma)).toBe(1_000)
      await run()

      await expectRuns(ofFailure(1_000, 1, CANCELLED), ofSuccess(1_000, 1))
    })

    it('aborted in a batch that hangs: ends without that batch, which is rolled back', async () => {
      await cleanup.insertDue(prisma, 2_000)
      const held = await holdNumber(1_500)
      const stop = new AbortController()
      const running = run({ signal: stop.signal })
      await held.reached()

      stop.abort(cancellation)
      expect(await running).toMatchObject({ kind: 'ended', run: { status: 'failed' } })
      await held.release()
      await waitFor(isQuiet)

      expect(await cleanup.countDue(prisma)).toBe(1_000)
      await expectRuns(ofFailure(1_000, 1, CANCELLED))
    })

    it('two at once: the second is refused and told which one is under way', async () => {
      await cleanup.insertDue(prisma, 3)
      const held = await holdNumber(2)
      const first = run()
      await held.reached()

      const second = await run()
      await held.release()

      const { run: ended } = (await first) as { run: { id: string } }
      expect(second).toMatchObject({ kind: 'alreadyRunning', runId: ended.id })
      await expectRuns({ ...ofSuccess(3, 1), id: ended.id })
    })

    it('refused by the database: is retried where it stopped, and given up after the last attempt', async () => {
      await cleanup.insertDue(prisma, 2_000)
      await prisma.$executeRawUnsafe(`
        create function refuse_row() returns trigger language plpgsql as $$
        begin raise exception 'this row stays'; end $$`)
      onTestFinished(async () => {
        await prisma.$executeRawUnsafe('drop function refuse_row cascade')
      })
      await prisma.$executeRawUnsafe(`
        create trigger refuse_row before update or delete on "${table}"
        for each row when (old."${numberColumn}" = '1500') execute function refuse_row()`)
      await startWorker()

      const id = await enqueue(database, job)
      await waitFor(async () => (await readWorkState(prisma, id)) === 'failed')

      const error = {
        name: 'PrismaClientKnownRequestError',
        code: expect.any(String),
        message: expect.stringContaining('this row stays'),
      }
      await expectRuns(
        { ...ofFailure(1_000, 1, error), attempt: 1, trigger: 'queue', workId: id },
        { status: 'failed', details: { error }, attempt: 2, trigger: 'queue', workId: id },
      )
      expect(await cleanup.countDue(prisma)).toBe(1_000)
    })
  })

  it('finds the little that is due in a big table by an index of its own', async () => {
    await cleanup.insertOthers(prisma, 50_000)
    await cleanup.insertDue(prisma, 50)
    await prisma.$executeRawUnsafe(`analyze "${table}"`)

    for (const [nth, finder] of target.finders.entries()) {
      const query = findQuery(table, finder, 50_000)
      const lines = await queryRows<{ 'QUERY PLAN': string }>(
        prisma,
        sql`explain (analyze, costs off, timing off) ${query}`,
      )
      const plan = lines.map((line) => line['QUERY PLAN']).join('\n')
      expect(plan).toContain(cleanup.indexes[nth])
      expect(plan).not.toContain('Seq Scan')
      // A filter would show that the index holds, or is entered at, more than what is due.
      expect(plan).not.toContain('Rows Removed by Filter')
    }
  })

  return { run, expectRuns, prisma: () => prisma }
}

/** What holds for every clean-up that is killed, and for the one after it. */
export function describeKilledCleanup<J extends Job>(cleanup: Cleanup<J>) {
  const { job, opened, run, runs, ofSuccess, ofFailure, ...shared } = openCleanup(cleanup)
  const { expectRuns, holdNumber, insertDueFor, insertManyOthers, isQuiet } = shared
  let database: WorkerDatabase
  let prisma: PrismaClient
  beforeAll(() => {
    database = opened()
    prisma = database.prisma
  })

  const spawnOnce = () =>
    spawnProcess(CLI, {
      args: ['once', job.name],
      env: { DATABASE_URL: database.url, LOG_LEVEL: 'info' },
    })

  /** Runs the job again once PostgreSQL has noticed that the earlier process is gone. */
  async function runAgain(): Promise<void> {
    const result = await waitFor(async () => {
      const next = await run()
      return next.kind === 'ended' && next
    })
    expect(result).toMatchObject({ run: { status: 'success' } })
  }

  it('killed in a batch: the next run ends it as failed with exact counts, and does the rest', async () => {
    await cleanup.insertDue(prisma, 2_000)
    const held = await holdNumber(1_500)
    const killed = spawnOnce()
    await held.reached()

    await killed.kill('SIGKILL')
    await held.release()
    await runAgain()

    expect(await cleanup.countDue(prisma)).toBe(0)
    await expectRuns(ofFailure(1_000, 1, WORKER_LOST), ofSuccess(1_000, 1))
  })

  it.each([
    { order: 'index', count: 6_500, steps: [1_000, 500, 2_000] },
    // So many that the next batch begins while one commits.
    { order: 'pages', count: 80_000, steps: [1_000, 6_000, 3_000] },
  ] as const)(
    'killed at whatever moment: the counts of all runs add up to the rows changed, by $order',
    async ({ order, count, steps }) => {
      await insertDueFor(count, order)
      if (order === 'pages') await insertManyOthers()
      // None of them can finish.
      const held = await holdNumber(count - 100)
      const left = () => cleanup.countDue(prisma)
      for (const step of steps) {
        const before = await left()
        const doomed = spawnOnce()
        await doomed.waitForLine('job run started')
        // The worker before it may have come as far as anyone can.
        const stepped = waitFor(async () => before - (await left()) >= step)
        await Promise.race([stepped, held.reached()])
        await doomed.kill('SIGKILL')
      }
      await held.release()
      await waitFor(isQuiet)
      const changed = count - (await left())
      await runAgain()

      const all = await runs()
      const killed = all.slice(0, 3)
      expect(killed).toEqual(
        Array(3).fill(
          expect.objectContaining({
            status: 'failed',
            details: expect.objectContaining({ error: WORKER_LOST }),
          }),
        ),
      )
      expect(sumOf(killed, 'cleaned')).toBe(changed)
      expect(sumOf(all, 'cleaned')).toBe(count)
      expect(all.map(({ status }) => status)).toEqual(['failed', 'failed', 'failed', 'success'])
    },
  )
}

/** Whether a batch changed rows: some only look. */
function isChange(counts: Counts | void): boolean {
  return counts !== undefined && counts['cleaned'] !== 0
}

/** Adds a count up over runs. */
function sumOf(runs: { details: unknown }[], count: string): number {
  const counts = runs.map(({ details }) => (details as Record<string, number>)[count] ?? 0)
  return counts.reduce((sum, each) => sum + each, 0)
}

/** Without the stack: these tests do not care where an error was thrown. */
function withoutStack<Run extends { details: unknown }>(run: Run): Run {
  const { error, ...others } = (run.details ?? {}) as { error?: { stack?: string } }
  if (error === undefined) return run
  const { stack: _, ...rest } = error
  return { ...run, details: { ...others, error: rest } }
}
