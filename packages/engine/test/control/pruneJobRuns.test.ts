// Not quick: removes thousands of runs.
import { Prisma } from '@roundsman/db'
import { HOLD_RUNS_SQL, openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { checkRetention } from '../../src/arguments/worker.ts'
import { openRetention } from '../../src/control/pruneJobRuns.ts'
import { createJobsClient } from '../../src/client.ts'
import { defineJob, pruneJobRuns as job, withEngineJobs } from '../../src/index.ts'
import { createWorker, runOnce, type RunOnceOptions } from '../../src/worker.ts'
import { openTestRuntime } from '../openTestRuntime.ts'

const NOW = new Date('2026-05-01T12:00:00Z')
const DAY_MS = 86_400_000
const daysOld = (days: number) => new Date(NOW.getTime() - days * DAY_MS)

/** The engine works with its own connections here and never asks the host's client. */
const client = {
  $transaction: async (): Promise<never> => {
    throw new Error('the engine asked for a transaction of its host')
  },
}

const database = openForTests(openTestRuntime)

beforeEach(async () => {
  await database.clear('JobTick', 'JobSchedule', 'JobAction')
})

const asked = () => ({
  databaseUrl: database.url,
  job,
  handler: undefined,
  now: () => NOW,
  log: database.log,
})

async function run(options: Partial<RunOnceOptions<typeof job, typeof client>> = {}) {
  const result = await runOnce({ schema: 'public', ...asked(), client, ...options })
  if (result.kind !== 'ended') throw new Error(result.kind)
  return result.run
}

async function insertRuns(status: 'success' | 'failed' | 'running', days: number[]): Promise<void> {
  await database.prisma.jobRun.createMany({
    data: days.map((each) => ({
      name: `${status} ${each}`,
      trigger: 'cli' as const,
      workerId: 'somebody',
      status,
      startedAt: daysOld(each),
      endedAt: status === 'running' ? null : daysOld(each),
      errorCode: status === 'failed' ? 'broken' : null,
    })),
  })
}

async function insertManyRuns(count: number, days: number): Promise<void> {
  await database.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), 'many', 'success', 'cli', 'somebody', ${daysOld(days)}, ${daysOld(days)}
    from generate_series(1, ${count}::int)`
  await database.prisma.$executeRaw`analyze "JobRun"`
}

async function insertTicks(days: number[]): Promise<void> {
  await database.prisma.jobTick.createMany({
    data: days.map((each) => ({
      name: 'sweep',
      scheduledFor: daysOld(each),
      outcome: 'enqueued' as const,
      workerId: 'somebody',
    })),
  })
}

/** Holds what the statement locks until the connection rolls back, at the end of the test at the latest. */
async function holdRows(statement: string): Promise<pg.Client> {
  const holder = new pg.Client({ connectionString: database.url })
  onTestFinished(() => holder.end())
  await holder.connect()
  await holder.query('begin')
  await holder.query(statement)
  return holder
}

const left = async () =>
  (await database.prisma.jobRun.findMany({ where: { name: { not: job.name } } }))
    .map(({ name }) => name)
    .toSorted((a, b) => a.localeCompare(b))

describe('pruneJobRuns', () => {
  it('removes what is older than it is kept, failed runs later than others, and counts each', async () => {
    await insertRuns('success', [29, 30, 31, 400])
    await insertRuns('failed', [31, 90, 91])
    await insertTicks([30, 31, 32])

    expect(await run()).toMatchObject({
      status: 'success',
      details: { succeeded: 2, failed: 1, ticks: 2, cutoff: daysOld(30).toISOString() },
    })
    expect(await left()).toEqual(['failed 31', 'failed 90', 'success 29', 'success 30'])
    expect(await database.prisma.jobTick.count()).toBe(1)
  })

  it('removes ticks of keyed schedules that were enqueued after a week, and the others with those of jobs', async () => {
    await database.rows(
      `insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "version")
       select 'report', outcome, $1::timestamptz - age * interval '1 day', outcome::"TickOutcome", 1
       from unnest(array['enqueued', 'missed']) outcome, unnest(array[6, 8, 31]) age`,
      [NOW],
    )
    expect(await run()).toMatchObject({ details: { ticks: 3 } })
    expect(
      await database.rows(
        `select "key", ($1::timestamptz - "scheduledFor")::text as age from "JobTick" order by 1, 2`,
        [NOW],
      ),
    ).toEqual([
      { key: 'enqueued', age: '6 days' },
      { key: 'missed', age: '6 days' },
      { key: 'missed', age: '8 days' },
    ])
    expect(await run({ retention: { keyedTickDays: 5 } })).toMatchObject({ details: { ticks: 1 } })
  })

  it('keeps the last tick of each keyed schedule that was enqueued', async () => {
    await database.rows(
      `insert into "JobSchedule" ("name", "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "bytes",
         "cursor", "delayMs", "tzdata", "lastAt")
       values ('report', 'monthly', '0 9 1 * *', 'UTC', 'once', 1, 'skip', 0, 0, $1, 0, '', $2)`,
      [NOW, daysOld(20)],
    )
    await database.rows(
      `insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "version")
       select 'report', 'monthly', at, 'enqueued', 1 from unnest($1::timestamptz[]) at`,
      [[daysOld(20), daysOld(50)]],
    )

    expect(await run()).toMatchObject({ details: { ticks: 1 } })

    expect(await database.rows('select "scheduledFor" as at from "JobTick"')).toEqual([
      { at: daysOld(20) },
    ])
  })

  it('never removes a run that has not ended', async () => {
    const { prisma } = database
    await prisma.jobRun.create({
      data: {
        name: 'old and alive',
        trigger: 'cli',
        workerId: 'somebody',
        startedAt: daysOld(400),
        // Its worker's lock is held below: otherwise the rescue would end it.
        status: 'running',
      },
    })
    await prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
    await prisma.$executeRaw`select pg_advisory_lock(hashtextextended('somebody', 0))::text`
    await run()

    expect(await prisma.jobRun.count({ where: { name: 'old and alive' } })).toBe(1)
  })

  it('never removes a run that a claim still lists, which would count as under way without it', async () => {
    await insertRuns('success', [40, 41])
    const held = `select "id" from "JobRun" where "name" = 'success 40'`
    await database.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'success 40', 'somebody', now(), now() + interval '1 hour', array(${held}), array[now()])`,
    )
    expect(await run()).toMatchObject({ details: { succeeded: 1 } })
    expect(await left()).toEqual(['success 40'])

    await database.rows('delete from "JobClaim"')
    expect(await run()).toMatchObject({ details: { succeeded: 1 } })
  })

  it('removes requests to cancel what has ended', async () => {
    await insertRuns('success', [1, 2])
    await database.rows(
      `insert into "JobCancel" select "id", "name", $1::timestamptz, 'ann' from "JobRun" where "name" = 'success 1'
       union all select "id", "name", $2, 'ann' from "JobRun" where "name" = 'success 2'`,
      [daysOld(2), daysOld(0)],
    )
    expect(await run()).toMatchObject({ details: { cancels: 1 } })
    expect(await database.rows('select "name" from "JobCancel"')).toEqual([{ name: 'success 2' }])
  })

  it('forgets the versions of workers of which no run is kept any more', async () => {
    await database.rows(
      `insert into "JobFormerWorker" select 'ended ' || nth, '0.2.0', at, at
       from unnest($1::timestamptz[]) with ordinality ended(at, nth)`,
      [[daysOld(31), daysOld(89), daysOld(91)]],
    )
    expect(await run()).toMatchObject({ details: { workers: 1 } })
    const kept = await database.rows('select "id" from "JobFormerWorker" order by 1')
    expect(kept).toEqual([{ id: 'ended 1' }, { id: 'ended 2' }])
  })

  it('keeps the first worker of a version of which others are listed, which tells when it appeared', async () => {
    await database.rows(`insert into "JobWorker" ("id", "version") values ('listed', 'long')`)
    await database.rows(
      `insert into "JobFormerWorker" select version || ' ' || nth, version, at, at
       from unnest(array['long', 'gone']) version, unnest($1::timestamptz[]) with ordinality ended(at, nth)`,
      [[daysOld(92), daysOld(93), daysOld(91)]],
    )
    await run()
    const kept = `select "id" from "JobFormerWorker" where "version" in ('long', 'gone')`
    expect(await database.rows(kept)).toEqual([{ id: 'long 2' }])
    await database.rows(`delete from "JobWorker" where "id" = 'listed'`)
  })

  it('finds nothing the second time, and still records a run', async () => {
    await insertRuns('success', [31])
    await run()

    expect(await run()).toMatchObject({
      details: { succeeded: 0, failed: 0, ticks: 0, actions: 0, batches: 0 },
    })
    expect(await database.prisma.jobRun.count({ where: { name: job.name } })).toBe(2)
  })

  it('says how many old rows others had locked, of any kind, and removes them the next time', async () => {
    await insertRuns('success', [31, 32, 29])
    await insertRuns('failed', [91])
    await insertTicks([31])
    const holder = await holdRows(`select from "JobRun" where "name" <> 'success 32' for update`)
    await holder.query('select from "JobTick" for update')

    const details = { succeeded: 1, failed: 0, ticks: 0, stillDue: 3 }
    expect(await run()).toMatchObject({ status: 'success', details })
    await holder.query('rollback')
    const next = await run()
    expect(next).toMatchObject({ details: { succeeded: 1, failed: 1, ticks: 1 } })
    expect(next.details).not.toHaveProperty('stillDue')
  })

  it.each([
    { runDays: 180, failed: [91, 179, 180, 181], kept: [179, 180, 91] },
    { runDays: 30, failed: [89, 90, 91, 181], kept: [89, 90] },
    { runDays: 180, failedDays: 7, failed: [6, 8], kept: [6] },
  ])(
    'keeps failed runs for 90 days, or as long as others, or as long as it is told: $runDays, $failedDays',
    async (days) => {
      const { failed, kept, ...retention } = days
      await insertRuns('failed', failed)
      await run({ retention })
      expect(await left()).toEqual(kept.map((each) => `failed ${each}`))
    },
  )

  it('goes on batch by batch, and a dry run changes nothing', async () => {
    await insertManyRuns(2_500, 31)
    await insertManyRuns(2_500, 1)

    expect(await run({ dryRun: true })).toMatchObject({ details: { succeeded: 2_500 } })
    expect(await left()).toHaveLength(5_000)
    expect(await run()).toMatchObject({ details: { succeeded: 2_500, batches: 3 } })
    expect(await left()).toHaveLength(2_500)
  })

  it('removes no more than its guard has counted, also where more runs have become old since', async () => {
    await insertManyRuns(1_999, 32)
    await database.rows(`
      create function runs_that_end_late() returns trigger language plpgsql as $$ begin
        insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
        select gen_random_uuid(), 'late', 'success', 'cli', 'somebody', run."startedAt" + interval '1 day', run."endedAt"
        from removed run where not exists (select from "JobRun" where "name" = 'late');
        return null;
      end $$`)
    await database.rows(`
      create trigger runs_that_end_late after delete on "JobRun" referencing old table as removed
      for each statement execute function runs_that_end_late()`)
    onTestFinished(async () => {
      await database.rows('drop function runs_that_end_late cascade')
    })
    expect(await run()).toMatchObject({ details: { succeeded: 1_999, stillDue: 1_000 } })
  })

  it('removes what people did once it is older than it is kept', async () => {
    const { prisma } = database
    await prisma.jobAction.createMany({
      data: [364, 365, 366, 800].map((days) => ({
        at: daysOld(days),
        action: 'cancel',
        name: 'sweep',
        actor: `ann ${days}`,
      })),
    })
    expect(await run()).toMatchObject({
      details: { actions: 2, actionsCutoff: daysOld(365).toISOString() },
    })
    const kept = await prisma.jobAction.findMany({ orderBy: { at: 'desc' } })
    expect(kept.map(({ actor }) => actor)).toEqual(['ann 364', 'ann 365'])
  })

  it('passes over what is kept once, and not in each batch', async () => {
    const { prisma } = database
    await prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode")
      select gen_random_uuid(), 'kept', 'failed', 'cli', 'w', ${daysOld(80)}::timestamptz + n * interval '1 s', now(), 'x'
      from generate_series(1, 30000) n`
    await insertManyRuns(5_500, 40)
    const read: number[] = []
    const countReads = async (tx: Prisma.TransactionClient) => {
      const [row] = await tx.$queryRaw<{ rows: number }[]>`
        select (idx_tup_fetch + seq_tup_read)::int as "rows" from pg_stat_xact_user_tables
        where relname = 'JobRun'`
      return row?.rows ?? 0
    }
    const { handler } = openRetention(checkRetention('retention', {}), [job], database.database)
    await (handler as (context: unknown) => Promise<unknown>)({
      signal: new AbortController().signal,
      now: () => NOW,
      guard: async () => undefined,
      batch: (work: (tx: Prisma.TransactionClient) => Promise<object>) =>
        prisma.$transaction(async (tx) => {
          const before = await countReads(tx)
          await work(tx)
          read.push((await countReads(tx)) - before)
        }),
    })
    expect(await prisma.jobRun.count()).toBe(30_000)
    const [first = 0, ...others] = read.slice(0, 6)
    expect(first).toBeGreaterThan(30_000)
    expect(Math.max(...others)).toBeLessThan(10_000)
  })

  it('forgets a short history wholly, and of a long one not more than half without being asked to', async () => {
    await insertManyRuns(1_999, 31)
    await insertTicks([31])
    expect(await run()).toMatchObject({ details: { succeeded: 1_999, ticks: 1 } })

    await insertManyRuns(2_000, 31)
    await insertTicks([31])
    expect(await run()).toMatchObject({
      status: 'failed',
      details: { error: { code: 'guard_blocked' }, guard: { due: 2_001, allowed: 2_000 } },
    })
    expect(await left()).toHaveLength(2_000)
    expect(await database.prisma.jobTick.count()).toBe(1)
  })
})

describe('a worker', () => {
  const own = defineJob({ name: 'sweepFloors' })
  const handlers = { sweepFloors: async () => undefined }

  async function startWorker(options: Partial<Parameters<typeof createWorker>[0]> = {}) {
    const { url: databaseUrl, log } = database
    const worker = createWorker({
      schema: 'public',
      databaseUrl,
      client,
      jobs: [own],
      handlers,
      log,
      ...options,
    })
    onTestFinished(() => worker.stop())
    await worker.start()
  }
  const schedules = async () => await database.rows(`select "name", "cron" from "JobSchedule"`)
  beforeEach(async () => {
    await database.rows(`delete from "JobSchedule"`)
  })

  it('schedules and runs it without being told to', async () => {
    await startWorker()
    expect(await schedules()).toEqual([{ name: job.name, cron: job.schedule!.cron }])

    await database.prisma.jobRun.create({
      data: {
        name: 'old',
        trigger: 'cli',
        workerId: 'somebody',
        status: 'success',
        startedAt: new Date(Date.now() - 31 * DAY_MS),
        endedAt: new Date(),
      },
    })
    const jobsClient = createJobsClient({
      schema: 'public',
      databaseUrl: database.url,
      log: database.log,
    })
    onTestFinished(() => jobsClient.stop())
    await jobsClient.start()
    await database.prisma.$transaction((tx) => jobsClient.enqueue(tx, job, {}))
    const ended = await waitFor(() =>
      database.prisma.jobRun.findFirst({ where: { name: job.name, status: 'success' } }),
    )

    expect(ended).toMatchObject({
      trigger: 'queue',
      details: { succeeded: 1, failed: 0, ticks: 0 },
    })
  })

  it('takes another schedule for it from the catalogue', async () => {
    const [, mine] = withEngineJobs([own])
    await startWorker({
      jobs: [own, { ...mine, schedule: { ...mine.schedule!, cron: '0 5 * * *' } }],
    })

    expect(await schedules()).toEqual([{ name: job.name, cron: '0 5 * * *' }])
  })

  it('does neither where it is turned off, also where the catalogue has it', async () => {
    await startWorker({ jobs: withEngineJobs([own]), retention: false })

    expect(await schedules()).toEqual([])
  })

  it.each([
    [
      'a handler of the host for it',
      { handlers: { ...handlers, pruneJobRuns: handlers.sweepFloors } },
    ],
    ['a number that is no count of days', { retention: { runDays: 0.5 } }],
    [
      'a ledger that forgets ticks for which a job makes up',
      {
        retention: { runDays: 7 },
        jobs: [
          defineJob({
            name: 'sweepFloors',
            schedule: { cron: '0 3 * * *', catchUpMs: 8 * DAY_MS },
          }),
        ],
      },
    ],
  ])('refuses %s', (_what, options) => {
    const { url: databaseUrl, log } = database
    expect(() =>
      createWorker({
        schema: 'public',
        databaseUrl,
        client,
        jobs: [own],
        handlers,
        log,
        ...options,
      }),
    ).toThrow(TypeError)
  })
})
