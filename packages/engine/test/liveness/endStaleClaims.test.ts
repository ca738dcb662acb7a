import { openForTests, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { listDeadLetters } from '../../src/client.ts'
import { defineJob, type Details } from '../../src/index.ts'
import { endStaleClaims } from '../../src/liveness/rescue.ts'
import { combineObservers } from '../../src/run/combineObservers.ts'
import type { RescuedRun, WorkerObserver } from '../../src/run/observer.ts'
import { createSettler } from '../../src/run/settler.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { asWorker } from '../asWorker.ts'
import { openTestQueue, toEnd, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { readWorkStates } from '../readWorkStates.ts'
import { startTestWorker } from '../startTestWorker.ts'

const parcel = defineJob({ name: 'parcel', retry: { limit: 0 }, dryRun: true })
const letter = defineJob({ name: 'letter', retry: { limit: 1 } })
const jobs = [parcel, letter] as const

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, jobs))

/** One claim for all of them. */
async function take(
  job: (typeof jobs)[number],
  count = 1,
  workerId?: string,
): Promise<[TestWork, ...TestWork[]]> {
  const items = Array.from({ length: count }, () => ({ payload: {} }))
  await opened.client.enqueueManyNow(job, items)
  return (await opened.take(job.name, count, workerId)) as [TestWork, ...TestWork[]]
}

/** Has a run store something in JobRun, as a batch does. */
async function speak(work: TestWork, details: Details = { cleaned: 3 }): Promise<void> {
  await recordRunning(runtime.database, 'w1', work)
  await runtime.rows('update "JobRun" set "details" = $2 where "id" = $1', [work.runId, details])
  work.hasRow = true
}

/** Lets the time of all claims run out. */
const expire = () => runtime.rows('update "JobClaim" set "expiresAt" = "createdAt"')

const expiredSince = new Map<string, number>()
const end = (observer: WorkerObserver = {}, its: readonly (typeof jobs)[number][] = jobs) => {
  const { database, log } = runtime
  return endStaleClaims({
    database,
    log,
    now: () => new Date(),
    observers: combineObservers([observer], log),
    workerId: 'w2',
    retryOf: new Map(its.map(({ name, retry }) => [name, retry])),
    expiredSince,
  })
}
const runs = () =>
  runtime.rows<{ status: string; errorCode: string | null }>(
    'select "status", "errorCode" from "JobRun" order by "attempt"',
  )
const states = () => readWorkStates(runtime.rows)
const settle = (taken: TestWork, details: Details | null = null) => {
  const { database, log } = runtime
  const settler = createSettler({ database, workerId: 'w1', log })
  return settler.settle(toEnd(taken, { details: details && JSON.stringify(details) }))
}

describe('a last attempt whose claim has expired', () => {
  it('has its run ended, which can not succeed any more, and is a dead letter for good', async () => {
    const [work] = await take(parcel)
    await speak(work)
    await expire()
    const seen: RescuedRun[] = []
    expect(await end({ runExpired: (run) => void seen.push(run) })).toHaveLength(1)
    expect(seen).toMatchObject([{ id: work.runId, name: 'parcel', attempt: 1 }])
    const error = { code: 'expired', message: expect.stringContaining('was over') as string }
    expect(await runtime.rows('select "status", "errorCode", "details" from "JobRun"')).toEqual([
      { status: 'failed', errorCode: 'expired', details: { cleaned: 3, error } },
    ])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])

    expect(await settle(work, { sent: 1 })).toMatchObject({ kind: 'lost' })
    expect(await runs()).toEqual([{ status: 'failed', errorCode: 'expired' }])
    const { deadLetters } = await listDeadLetters(runtime.reader, { limit: 10 })
    expect(deadLetters).toMatchObject([{ workId: work.workId, error: { code: 'expired' } }])
    const by = { actor: 'tests', reason: 'mended' }
    expect(await opened.client.redriveDeadLetters('all', by)).toMatchObject({ redriven: 1 })
    expect(await opened.take('parcel')).toMatchObject([{ attempt: 2 }])
  })

  it('can store nothing any more, neither progress nor a batch', async () => {
    const [silent, spoken] = await take(parcel, 2)
    await speak(spoken!)
    await expire()
    await end()
    const before = await runtime.rows('select * from "JobRun" order by "id"')
    for (const work of [silent, spoken!]) await recordRunning(runtime.database, 'w1', work)
    expect(await runtime.rows('select * from "JobRun" order by "id"')).toEqual(before)
    expect(await runtime.rows(`select from "JobRun" where "status" = 'running'`)).toEqual([])
  })

  it('can store nothing and not end while its claim stays for another whose batch is open', async () => {
    const [silent, spoken] = await take(parcel, 2)
    await speak(spoken!)
    await expire()
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobRun" for update')
      expect((await end()).map(({ id }) => id)).toEqual([silent.runId])
      await recordRunning(runtime.database, 'w1', silent)
      expect(await settle(silent, { sent: 1 })).toMatchObject({ kind: 'lost' })
    })
    expect(await runtime.rows('select from "JobClaim"')).toHaveLength(1)
    expect(await settle(spoken!, { sent: 1 })).toMatchObject({ kind: 'success' })
    expect(await runtime.rows('select "status", "details" from "JobRun" order by 1')).toEqual([
      { status: 'success', details: { cleaned: 3, sent: 1 } },
      {
        status: 'failed',
        details: { error: expect.objectContaining({ code: 'expired' }) as object },
      },
    ])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('succeeds where it is late, but nobody has noticed', async () => {
    const [work] = await take(letter)
    await expire()
    expect(await settle(work, { sent: 1 })).toMatchObject({ kind: 'success', details: { sent: 1 } })
    expect(await runs()).toEqual([{ status: 'success', errorCode: null }])
    expect(await states()).toEqual(['completed'])
    expect(await end()).toEqual([])
  })

  it('is no dead letter where it only rehearsed', async () => {
    await opened.client.requestRun(parcel, { actor: 'tests', reason: 'now', dryRun: true })
    await opened.take('parcel')
    await expire()
    expect(await end()).toHaveLength(1)
    expect(await states()).toEqual(['cancelled'])
  })

  it('leaves alone what its claim held beside it, and has ended', async () => {
    const [hangs, ended] = await take(parcel, 2)
    await settle(ended!)
    await expire()
    expect((await end()).map(({ id }) => id)).toEqual([hangs.runId])
    expect((await states()).toSorted()).toEqual(['completed', 'failed'])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('is left to workers that know its job, and so how often it is tried again', async () => {
    await take(letter)
    await expire()
    expect(await end({}, [parcel])).toEqual([])
    expect(await states()).toEqual(['active'])
    expect(await end()).toHaveLength(1)
  })

  it('is found by a worker that lives, also where its own lives on', async () => {
    await take(parcel)
    await expire()
    const handler = async () => undefined
    await startTestWorker(runtime, { jobs, handlers: { parcel: handler, letter: handler } })
    expect(
      await waitFor(async () => (await runs())[0]?.errorCode === 'expired', { timeoutMs: 20_000 }),
    ).toBe(true)
  })

  it.each([
    ['the claim', `select from "JobClaim" where "runIds" @> array[$1::uuid] for update`],
    ['the run, as its own batch', `select from "JobRun" where "id" = $1 for update`],
  ])('is not waited for where somebody has locked %s, and found afterwards', async (_, sql) => {
    const [locked] = await take(parcel)
    const [free] = await take(letter)
    await speak(locked)
    await expire()
    await runtime.database.transaction(async (tx) => {
      await tx.query(sql, [locked.runId])
      expect((await end()).map(({ id }) => id)).toEqual([free.runId])
    })
    expect((await end()).map(({ id }) => id)).toEqual([locked.runId])
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('holds neither its exclusive key nor its unique key any more', async () => {
    const options = { uniqueKey: 'one' }
    await opened.client.enqueueNow(parcel, {}, options)
    await opened.take('parcel')
    await runtime.rows(`update "JobClaim" set "exclusiveKey" = 'parcel'`)
    await expire()
    await end()
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
    expect(await opened.client.enqueueNow(parcel, {}, options)).toMatchObject({
      kind: 'enqueued',
    })
  })
})

describe('a run under way when the clock of the database steps ahead by hours', () => {
  const step = () =>
    runtime.rows(`
    update "JobClaim" set "createdAt" = "createdAt" - interval '5 hours', "expiresAt" = "expiresAt" - interval '5 hours'`)

  it('goes on while its worker writes heartbeats', async () => {
    const [work] = await take(letter)
    await step()
    expect([await end(), await end()]).toEqual([[], []])
    expect(await settle(work)).toMatchObject({ kind: 'success' })
    await end()
    expect(expiredSince.size).toBe(0)
  })

  it('is ended where its worker stands still, though its connection lives', async () => {
    const [work] = await take(letter, 1, 'stopped')
    await runtime.rows(`
      insert into "JobWorker" ("id", "startedAt", "heartbeatAt") values ('stopped', now(), now() - interval '1 minute')`)
    await step()
    await asWorker(runtime.database, 'stopped', async () =>
      expect(await end()).toMatchObject([{ id: work.runId }]),
    )
  })

  it('is ended where its worker has forgotten it, once all its time is over by the clock of this process', async () => {
    const [work] = await take(letter)
    await step()
    expect(await end()).toEqual([])
    for (const [id, since] of expiredSince) expiredSince.set(id, since - 900_000)
    expect(await end()).toMatchObject([{ id: work.runId }])
  })
})

describe('an attempt that is to be followed by another', () => {
  it('has its run ended before that begins, and costs a retry', async () => {
    const [work] = await take(letter)
    await expire()
    await end()
    expect(await runs()).toEqual([{ status: 'failed', errorCode: 'expired' }])
    expect(await settle(work)).toMatchObject({ kind: 'lost' })
    expect(await states()).toEqual(['retry'])
    await runtime.rows(`update "JobWork" set "dueAt" = now() - interval '1 second'`)
    const [second] = await opened.take('letter')
    expect(second).toMatchObject({ workId: work.workId, attempt: 2, failures: 1, losses: 0 })
    expect(await settle(second!)).toMatchObject({ kind: 'success', details: null })
    expect((await runs()).map(({ status }) => status)).toEqual(['failed', 'success'])
    expect(await states()).toEqual(['completed'])
  })
})

describe('a worker on no list', () => {
  it('has its runs rescued when it is gone, and keeps them while it lives', async () => {
    const [lost] = await take(letter, 1, 'w3')
    await asWorker(runtime.database, 'w3', async () => expect(await end()).toEqual([]))
    const seen: RescuedRun[] = []
    await end({ runRescued: (run) => void seen.push(run) })
    expect(seen).toMatchObject([{ id: lost.runId }])
    expect(await runs()).toEqual([{ status: 'failed', errorCode: 'worker_lost' }])
    expect(await runtime.rows('select "failures", "losses" from "JobWork"')).toEqual([
      { failures: 0, losses: 1 },
    ])
  })

  it('loses them without a retry, also where their time is over, and the job is of another program', async () => {
    await take(parcel, 1, 'w3')
    await take(letter, 1, 'w3')
    await expire()
    expect(await end({}, [letter])).toHaveLength(2)
    expect((await runs()).map(({ errorCode }) => errorCode)).toEqual(['worker_lost', 'worker_lost'])
    expect(await states()).toEqual(['retry', 'retry'])
  })
})

it('whoever has time left goes on, and a claim that closes another expires never', async () => {
  await take(letter)
  await runtime.rows(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
     values (gen_random_uuid(), 'letter', 'w1', now(), 'infinity', '{}', '{}')`,
  )
  expect(await end()).toEqual([])
  expect(await runtime.rows('select from "JobClaim"')).toHaveLength(2)
})
