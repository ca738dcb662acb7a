import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { listDeadLetters, listJobRuns } from '../../src/client.ts'
import { defineJob, type Details } from '../../src/index.ts'
import { installQueue } from '../../src/store/migrate.ts'
import { combineObservers } from '../../src/run/combineObservers.ts'
import { createWorker } from '../../src/createWorker.ts'
import { endExpiredRuns } from '../../src/liveness/rounds.ts'
import type { RescuedRun } from '../../src/run/observer.ts'
import { createSettler } from '../../src/run/settler.ts'
import { maintainQueue } from '../maintainQueue.ts'
import { openTestQueue, type TestQueue, type TestWork } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '', retry: { limit: 0 } })
const letter = defineJob({ name: 'letter', description: '', retry: { limit: 1 } })

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel, letter])
  opened = await openTestQueue(runtime, [parcel, letter])
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  passedMs = 0
  await runtime.clear()
})

let passedMs = 0

async function take(job: typeof parcel | typeof letter): Promise<TestWork> {
  await runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
  return (await opened.take(job.name))[0]!
}

/** Lets pg-boss's maintenance run after so many hours. */
async function pass(hours: number): Promise<void> {
  passedMs += hours * 3_600_000
  await runtime.rows(`update pgboss.job set started_on = started_on - $1 * interval '1 hour'`, [
    hours,
  ])
  await runtime.rows(`update "JobClaim" set "createdAt" = "createdAt" - $1 * interval '1 hour'`, [
    hours,
  ])
  await runtime.rows(`update "JobRun" set "createdAt" = "createdAt" - $1 * interval '1 hour'`, [
    hours,
  ])
  await maintainQueue(runtime)
}

const end = (observers?: Parameters<typeof endExpiredRuns>[0]['observers']) => {
  const { database, log } = runtime
  return endExpiredRuns({ database, log, now: () => new Date(), observers })
}
const runs = () =>
  runtime.rows<{ status: string; errorCode: string | null }>(
    'select "status", "errorCode" from "JobRun" order by "attempt"',
  )
const states = async () =>
  (await runtime.rows<{ state: string }>('select state::text from pgboss.job')).map(
    ({ state }) => state,
  )
/** A machine that slept has only the wall clock to know by. */
const settle = (work: TestWork, details: Details | null = null, hasSlept = false) => {
  const { run } = work
  const { database, log } = runtime
  const { date = NaN, monotonic = NaN } = work.held.takenAt ?? {}
  const takenAt = { date: date - passedMs, monotonic: monotonic - (hasSlept ? 0 : passedMs) }
  const held = { ...work.held, takenAt }
  const settler = createSettler({ database, queue: opened.queue, workerId: 'w1', log })
  return settler.settle({ run, held, endedAt: new Date(), details, failure: null })
}

describe('a last attempt that the queue has given up', () => {
  it.each([
    ['claim', `select from "JobClaim" where "runIds" @> array[$1::uuid] for update`],
    [
      'work',
      'select from pgboss.job where id = (select "workId" from "JobRun" where "id" = $1) for update',
    ],
  ])('has its run ended while somebody has locked the %s of another', async (_what, sql) => {
    const [held, free] = [await take(parcel), await take(parcel)]
    await pass(2)
    // What has to change with the runs: their job is free again, and their work is kept.
    await runtime.rows('update "JobClaim" set "exclusiveKey" = "id"::text')
    await runtime.rows('update pgboss.job set deletion_seconds = 1')
    const foreign = new pg.Client({ connectionString: runtime.url })
    await foreign.connect()
    await foreign.query('begin')
    await foreign.query(sql, [held.runId])
    const ended = await end()
    await foreign.end()
    expect(ended.map(({ id }) => id)).toEqual([free.runId])
    expect((await end()).map(({ id }) => id)).toEqual([held.runId])
  })

  it('has its run ended, which can not succeed any more, and is a dead letter for good', async () => {
    const work = await take(parcel)
    await runtime.rows(`update "JobRun" set "details" = '{"cleaned": 3}'`)
    await pass(2)
    // No worker has looked at it yet, and the queue keeps it.
    expect(await runtime.rows('select state::text, deletion_seconds from pgboss.job')).toEqual([
      { state: 'failed', deletion_seconds: 0 },
    ])
    expect(await runs()).toMatchObject([{ status: 'running' }])

    const seen: RescuedRun[] = []
    const observers = combineObservers([{ runExpired: (run) => seen.push(run) }], runtime.log)
    await end(observers)
    expect(seen).toMatchObject([{ id: work.runId, name: 'parcel', attempt: 1 }])
    expect(await runtime.rows('select "status", "errorCode", "details" from "JobRun"')).toEqual([
      {
        status: 'failed',
        errorCode: 'expired',
        details: {
          cleaned: 3,
          error: { code: 'expired', message: expect.stringContaining('still running') },
        },
      },
    ])
    expect(await settle(work)).toEqual({ kind: 'lost' })
    expect(await runs()).toMatchObject([{ status: 'failed', errorCode: 'expired' }])

    await runtime.rows(`update pgboss.job set completed_on = completed_on - interval '1 year'`)
    await pass(1)
    const { deadLetters } = await listDeadLetters(runtime.reader, { limit: 10 })
    expect(deadLetters).toMatchObject([{ workId: work.workId, error: { code: 'expired' } }])
    const by = { actor: 'tests', reason: 'mended' }
    expect(await opened.client.redriveDeadLetters(null, 'all', by)).toMatchObject({ redriven: 1 })
    expect(await opened.take('parcel')).toMatchObject([{ attempt: 2 }])
  })

  it.each([
    ['', false],
    [', on a machine that slept', true],
  ])(
    'ends its run as failed also where its handler returns before any worker has looked%s',
    async (_, hasSlept) => {
      const work = await take(parcel)
      await runtime.rows(`update "JobRun" set "details" = '{"cleaned": 3}'`)
      await pass(2)
      const error = { code: 'expired', message: expect.stringContaining('had given up the work') }
      expect(await settle(work, { sent: 1 }, hasSlept)).toMatchObject({
        kind: 'settled',
        details: { cleaned: 3, sent: 1, error },
        instead: { failure: { error } },
      })
      expect(
        await runtime.rows('select "status", "errorCode", "endedAt" is null as open from "JobRun"'),
      ).toEqual([{ status: 'failed', errorCode: 'expired', open: false }])
      expect(await runtime.rows('select from "JobClaim"')).toEqual([])
      expect(await states()).toEqual(['failed'])
      expect(await end()).toEqual([])
    },
  )

  it('is kept also where its claim was made by a worker that did not see to it', async () => {
    await take(parcel)
    await runtime.rows('update pgboss.job set deletion_seconds = 604800')
    await pass(2)
    await end()
    expect(await runtime.rows('select deletion_seconds from pgboss.job')).toEqual([
      { deletion_seconds: 0 },
    ])
    await runtime.rows('update pgboss.job set deletion_seconds = 604800')
    await installQueue(runtime.database, [parcel])
    expect(await runtime.rows('select deletion_seconds from pgboss.job')).toEqual([
      { deletion_seconds: 0 },
    ])
  })

  it('is found by a worker that lives', async () => {
    await take(parcel)
    await pass(2)
    const { url, prisma, log } = runtime
    const handler = async () => undefined
    const worker = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: url,
      client: prisma,
      jobs: [parcel, letter],
      handlers: { parcel: handler, letter: handler },
      log,
    })
    await worker.start()
    onTestFinished(() => worker.stop())
    expect(await waitFor(async () => (await runs())[0]?.errorCode === 'expired')).toBe(true)
  })

  it('holds no exclusive key any more', async () => {
    const work = await take(parcel)
    await runtime.rows(`update "JobClaim" set "exclusiveKey" = 'parcel'`)
    await pass(2)
    await end()
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
    expect(await settle(work)).toEqual({ kind: 'lost' })
  })

  it('is not waited for where somebody has locked what holds its exclusive key', async () => {
    await take(parcel)
    await runtime.rows(`update "JobClaim" set "exclusiveKey" = 'parcel'`)
    await pass(2)
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobClaim" for update')
      expect(await end()).toEqual([])
    })
    expect(await end()).toHaveLength(1)
  })

  it('that only rehearsed is kept for a while only', async () => {
    await runtime.prisma.$transaction((tx) =>
      opened.client.requestRun(tx, parcel, { actor: 'tests', reason: 'now', dryRun: true }),
    )
    await opened.take('parcel')
    await pass(2)
    await end()
    expect(await states()).toEqual(['failed'])
    await runtime.rows(`update pgboss.job set completed_on = completed_on - interval '8 days'`)
    await pass(1)
    expect(await states()).toEqual([])
  })
})

describe('an attempt that is to be followed by another', () => {
  it('has its run ended before that begins', async () => {
    const work = await take(letter)
    await pass(2)
    expect(await states()).toEqual(['retry'])
    await end()
    expect(await runs()).toEqual([{ status: 'failed', errorCode: 'expired' }])
    expect(await settle(work)).toEqual({ kind: 'lost' })
    expect(await states()).toEqual(['retry'])
  })
})

it.each([
  ['a worker looks', () => end()],
  ['their work is taken again', () => opened.take('letter')],
])(
  'attempts that have expired give up their own exclusive keys alone, and leave what else their claims hold, where %s',
  async (_, find) => {
    const goesOn = await take(parcel)
    const exclusive = await take(letter)
    await runtime.rows(`update "JobClaim" set "exclusiveKey" = "name"`)
    for (let n = 0; n < 2; n++)
      await runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, letter, {}))
    const [hangs, goesOnBeside] = (await opened.take('letter')) as [TestWork, TestWork]
    await runtime.rows(`update "JobClaim" set "createdAt" = "createdAt" - interval '1 day'`)
    await runtime.rows(
      `update pgboss.job set state = 'retry', start_after = now() where id = any($1::uuid[])`,
      [[exclusive.workId, hangs.workId]],
    )
    await find()
    expect(
      await runtime.rows('select "exclusiveKey" from "JobClaim" where "exclusiveKey" is not null'),
    ).toEqual([{ exclusiveKey: 'parcel' }])
    const { runs: left } = await listJobRuns(runtime.reader, { limit: 10, status: 'running' })
    const firstAttempts = left.filter(({ attempt }) => attempt === 1).map(({ id }) => id)
    expect(new Set(firstAttempts)).toEqual(new Set([goesOn.runId, goesOnBeside.runId]))
  },
)

describe('an attempt that ends before it is given out again', () => {
  it.each(['with details', 'without'])(
    'has a run that failed, and is followed by the other, %s',
    async (kind) => {
      const work = await take(letter)
      await pass(2)
      expect(await settle(work, kind === 'without' ? null : { sent: 1 })).toMatchObject({
        kind: 'settled',
        instead: { failure: { error: { code: 'expired' } } },
      })
      expect(await runs()).toEqual([{ status: 'failed', errorCode: 'expired' }])
      await runtime.rows('update pgboss.job set start_after = now()')
      const [second] = await opened.take('letter')
      expect(await settle(second!)).toEqual({ kind: 'settled', details: null })
      expect(await runs()).toEqual([
        { status: 'failed', errorCode: 'expired' },
        { status: 'success', errorCode: null },
      ])
      expect(await states()).toEqual([])
    },
  )

  it('succeeds where it is late, but the queue has not noticed', async () => {
    const work = await take(letter)
    await pass(0.25)
    expect(await settle(work, { sent: 1 })).toEqual({ kind: 'settled', details: { sent: 1 } })
    expect(await runs()).toEqual([{ status: 'success', errorCode: null }])
    expect(await states()).toEqual([])
  })
})

describe('whoever has time left', () => {
  it('goes on: by the queue, by its age, and without work in the queue', async () => {
    await take(letter)
    await pass(0.25)
    expect(await states()).toEqual(['active'])
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId") values (gen_random_uuid(), 'parcel', 'cli', 'w2')`,
    )
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "runIds", "createdAt")
       select "id", "name", "workerId", array["id"], now() - interval '1 day' from "JobRun" where "trigger" = 'cli'`,
    )
    expect(await end()).toEqual([])

    await runtime.rows(`update pgboss.job set state = 'failed'`)
    await runtime.rows(`update "JobClaim" set "createdAt" = now() where "name" = 'letter'`)
    expect(await end()).toEqual([])
  })

  it('is not waited for while it commits a batch, and found afterwards', async () => {
    const { runId } = await take(parcel)
    await pass(2)
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobRun" where "id" = $1 for update', [runId])
      expect(await end()).toEqual([])
    })
    expect(await end()).toHaveLength(1)
  })
})
