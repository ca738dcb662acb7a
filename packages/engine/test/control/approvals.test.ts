// Not quick: a run by hand waits for its session.
import { openForTests } from '@roundsman/testing'
import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getJobRun } from '../../src/client.ts'
import { defineJob, JobError, type PayloadOf, type RunContext } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import { runOnce } from '../../src/worker.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

/** Removes what is older than its payload says, 100 rows in a batch; more than 100 have to be approved. */
const purge = defineJob({
  name: 'purge',
  payload: z.strictObject({ olderThanDays: z.number().optional() }),
  isDestructive: true,
  guard: { maxRows: 100 },
  retry: { limit: 3, delayMs: 1_000 },
})
const jobs = [purge] as const
const by = { actor: 'olga@example.com', reason: 'checked' }

type Context = RunContext<PayloadOf<typeof purge>, PlainTransaction>

let countOtherwise: (removed: number) => Record<string, number>
let beforeGuard: () => Promise<void>
let afterBatch: (context: Context) => Promise<void>

async function handler(context: Context): Promise<void> {
  const { olderThanDays = 30 } = context.payload
  const count = async (tx: PlainTransaction) =>
    (await tx.$queryRawUnsafe(`select from "Item" where "days" > $1`, olderThanDays)).length
  await beforeGuard()
  await context.guard({ total: count, due: count })
  for (let isOver = false; !isOver; await afterBatch(context)) {
    await context.batch(async (tx) => {
      const removed = await tx.$executeRawUnsafe(
        `delete from "Item" where "id" in (select "id" from "Item" where "days" > $1 limit 100)`,
        olderThanDays,
      )
      isOver = removed < 100
      return { ...countOtherwise(removed), removed }
    })
  }
}

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({ databaseUrl: database.url, client, jobs, handlers: { purge: handler } }),
)
beforeAll(async () => {
  await client.$executeRawUnsafe(
    `create table "Item" ("id" serial primary key, "days" int not null)`,
  )
})

beforeEach(async () => {
  await test.reset()
  await client.$executeRawUnsafe(`delete from "Item"`)
  countOtherwise = () => ({})
  beforeGuard = async () => undefined
  afterBatch = async () => undefined
})

const insert = (count: number, days: number) =>
  client.$executeRawUnsafe(
    `insert into "Item" ("days") select $2::int from generate_series(1, $1::int)`,
    count,
    days,
  )
const left = async () => (await client.$queryRawUnsafe(`select from "Item"`)).length

/** Has a piece of work blocked by its guard. Returns its run, and the work. */
async function block(payload: { olderThanDays?: number } = {}, uniqueKey = 'purge') {
  const { workId } = await test.enqueueNow(purge, payload, { uniqueKey, priority: 7 })
  const [run] = await test.drain()
  expect(run?.error?.code).toBe('guard_blocked')
  return { runId: run!.id, workId }
}

const redrive = (workId: string) => test.redriveDeadLetters({ ids: [workId] }, by)
const approve = (runId: string) => test.approveRun(runId, by)
/** Carries out all that is due, retries included. Returns how each attempt ended. */
async function finish() {
  const ended = await test.drain()
  for (let attempt = 2; attempt <= purge.retry.limit + 1; attempt++) {
    await test.advance({ minutes: 1 })
    ended.push(...(await test.drain()))
  }
  return ended.map(({ details, error, payload }) => ({
    payload,
    code: error?.code ?? null,
    removed: details?.['removed'] ?? 0,
  }))
}
/** Fails the first attempt after its first batch. */
const failOnce = () => {
  afterBatch = async () => {
    afterBatch = async () => undefined
    throw new Error('broken')
  }
}

describe('the payload of a blocked run, approved', () => {
  it('is that of the run, also where somebody made it by hand', async () => {
    await insert(101, 500)
    await insert(71, 40)
    const blocked = await runOnce({
      databaseUrl: database.url,
      schema: test.schema,
      client,
      job: purge,
      handler,
      payload: { olderThanDays: 400 },
      now: test.now,
      log: pino({ level: 'silent' }),
    })
    if (blocked.kind !== 'ended') throw new Error(blocked.kind)
    expect(blocked.run.details).toMatchObject({ error: { code: 'guard_blocked' } })

    expect(await approve(blocked.run.id)).toMatchObject({ kind: 'approved', rows: 101 })
    expect(await finish()).toEqual([{ payload: { olderThanDays: 400 }, code: null, removed: 101 }])
    expect(await left()).toBe(71)
  })
})

describe('the dead letter of a blocked run, once that is approved', () => {
  it('is one again where the approval is rolled back', async () => {
    await insert(101, 40)
    const { runId, workId } = await block()
    await expect(
      client.$transaction(async (tx) => {
        await test.approveRun(runId, by, { tx })
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')

    expect(await redrive(workId)).toMatchObject({ redriven: 1 })
  })

  it('is taken by one of two people who approve at once, and by none who redrives it with them', async () => {
    await insert(101, 40)
    const { runId, workId } = await block()
    const answers = await Promise.all([approve(runId), redrive(workId), approve(runId)])
    const kinds = [answers[0].kind, answers[2].kind].toSorted((a, b) => a.localeCompare(b))
    expect(kinds).toEqual(['alreadyApproved', 'approved'])
    expect(await getJobRun(test.reader, runId)).toMatchObject({ approvedBy: by.actor })
    expect(await finish()).toEqual([{ payload: {}, code: null, removed: 101 }])
  })

  it('does not run again either where it was retried, and no other of its runs is approved', async () => {
    await insert(101, 40)
    const { runId, workId } = await block()
    await redrive(workId)
    const [again] = await test.drain()
    await redrive(workId)

    expect(await approve(runId)).toMatchObject({ kind: 'approved', rows: 101 })
    expect(await approve(again!.id)).toEqual({ kind: 'alreadyApproved' })
    expect(await finish()).toEqual([{ payload: {}, code: null, removed: 101 }])
  })
})

describe('approved work', () => {
  const found = async () =>
    (await test.enqueued(purge)).map(({ workId, priority, uniqueKey }) => ({
      ...{ workId, priority, uniqueKey },
    }))

  it.each(['dead', 'redriven'])('has key and priority of the blocked run: %s', async (state) => {
    await insert(101, 40)
    const { runId, workId } = await block()
    if (state === 'redriven') await redrive(workId)
    const outcome = await approve(runId)
    if (outcome.kind !== 'approved') throw new Error(`It is ${outcome.kind}`)
    const work = { workId: outcome.workId, priority: 7, uniqueKey: 'purge' }
    expect(await found()).toEqual([work])
    expect(await test.enqueueNow(purge, {}, { uniqueKey: 'purge' })).toEqual({
      kind: 'alreadyQueued',
      workId: outcome.workId,
    })
  })

  it('waits for the end of its own, where that was redriven and runs', async () => {
    await insert(101, 40)
    const { runId, workId } = await block()
    await redrive(workId)
    const outcomes: unknown[] = []
    beforeGuard = async () => void outcomes.push(await approve(runId))
    await test.drain()
    expect(outcomes).toEqual([{ kind: 'alreadyQueued', workId }])
    beforeGuard = async () => undefined
    expect(await approve(runId)).toMatchObject({ kind: 'approved' })
  })
})

describe('work that newer work has replaced while it ran', () => {
  it('is not approved again where its guard blocked it in its turn', async () => {
    await insert(101, 40)
    const { runId } = await block()
    await approve(runId)
    await insert(1, 40)
    beforeGuard = async () => {
      beforeGuard = async () => undefined
      const options = { uniqueKey: 'purge', onConflict: 'replace' } as const
      await test.enqueueNow(purge, { olderThanDays: 50 }, options)
    }
    const [older] = await test.drain()
    expect(older).toMatchObject({ payload: {}, error: { code: 'guard_blocked' } })
    expect(await approve(older!.id)).toEqual({ kind: 'payloadGone' })
  })

  it('is not approved or run again either, where its guard blocked it', async () => {
    await insert(101, 40)
    const replace = (olderThanDays: number) =>
      test.enqueueNow(purge, { olderThanDays }, { uniqueKey: 'k', onConflict: 'replace' })
    await replace(1)
    beforeGuard = async () => {
      beforeGuard = async () => undefined
      await replace(50)
    }
    const [older, newer] = await test.drain()
    expect(older).toMatchObject({ error: { code: 'guard_blocked' } })
    expect(newer).toMatchObject({ payload: { olderThanDays: 50 }, status: 'success' })

    expect(await approve(older!.id)).toEqual({ kind: 'payloadGone' })
    expect(await test.runAgain(purge, older!.id, by)).toEqual({
      kind: 'payloadGone',
    })
    expect(await finish()).toEqual([])
  })
})

describe('an approval', () => {
  it('is used up by what batches count as cleaned, where they count the same by other names', async () => {
    countOtherwise = (removed) => ({ cleaned: removed, expired: removed })
    await insert(300, 40)
    const { runId } = await block()
    await approve(runId)
    failOnce()
    expect(await finish()).toMatchObject([{ removed: 100 }, { code: null, removed: 200 }])
  })

  it('is used up by what batches count above zero, where they also count down', async () => {
    countOtherwise = (removed) => ({ remaining: -removed })
    await insert(300, 40)
    const { runId } = await block()
    await approve(runId)
    failOnce()
    expect(await test.drain()).toMatchObject([{ details: { removed: 100, remaining: -100 } }])
    await insert(1, 40)
    expect(await finish()).toMatchObject([{ code: 'guard_blocked', removed: 0 }])
  })

  it('has ended with the work that it was for: a redrive of that has none', async () => {
    await insert(300, 40)
    const { runId } = await block()
    await approve(runId)
    afterBatch = async () => {
      throw new JobError('broken', 'for good', { retryable: false })
    }
    const [failed] = await test.drain()
    expect(failed).toMatchObject({ error: { code: 'broken' }, details: { removed: 100 } })
    afterBatch = async () => undefined
    const { workId } = (await getJobRun(test.reader, failed!.id))!
    await redrive(workId!)
    expect(await finish()).toMatchObject([{ code: 'guard_blocked', removed: 0 }])
  })
})
