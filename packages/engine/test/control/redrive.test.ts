import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { listDeadLetters } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { createWorkerId } from '../../src/createWorker.ts'
import { runOnce } from '../../src/worker.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '', retry: { limit: 0 } })
const rounds = defineJob({
  name: 'rounds',
  description: '',
  schedule: { cron: '0 0 1 1 *' },
  retry: { limit: 0 },
})
const by = { actor: 'admin@example.com', reason: 'mended' }

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel, rounds])
  opened = await openTestQueue(runtime, [parcel, rounds])
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.clear('JobAction')
})

const enqueue = async (uniqueKey?: string, job: typeof parcel | typeof rounds = parcel) =>
  (
    await runtime.prisma.$transaction((tx) =>
      opened.client.enqueue(tx, job, {}, uniqueKey === undefined ? {} : { uniqueKey }),
    )
  ).workId

/** Makes a dead letter. */
async function fail(uniqueKey?: string, job: typeof parcel | typeof rounds = parcel) {
  const workId = await enqueue(uniqueKey, job)
  const work = await opened.take(job.name)
  await runtime.database.transaction((tx) =>
    opened.queue.fail(tx, work, { code: 'broken', message: '' }, 'giveUp'),
  )
  await runtime.rows(
    `update "JobRun" set "status" = 'failed', "errorCode" = 'broken', "endedAt" = now() where "status" = 'running'`,
  )
  await runtime.rows('truncate "JobClaim", "JobStart"')
  return workId
}

const redrive = (which: readonly string[] | 'all' = 'all') =>
  runtime.prisma.$transaction((tx) => opened.client.redriveWork(tx, parcel, which, by))
const deadLetters = async () =>
  (await listDeadLetters(runtime.reader, { limit: 50 })).deadLetters.map(({ workId }) => workId)
const readWork = (id: string) =>
  runtime.rows<{ row: object }>('select to_jsonb(job) as row from pgboss.job job where id = $1', [
    id,
  ])
const once = (deadLetter: string, job: typeof parcel | typeof rounds = parcel) =>
  runOnce({
    schema: 'public',
    databaseUrl: runtime.url,
    client: runtime.prisma,
    job,
    handler: async () => undefined,
    deadLetter,
    log: runtime.log,
  })

describe('a dead letter whose unique key other work holds', () => {
  it.each(['created', 'retry', 'active'])(
    'stays while that is %s, says so, and is redriven afterwards',
    async (state) => {
      const letter = await fail('a')
      const free = await fail('b')
      const before = await readWork(letter)
      const holder = await enqueue('a')
      await runtime.rows('update pgboss.job set state = $2 where id = $1', [holder, state])

      expect(await redrive()).toEqual({ redriven: 1, alreadyQueued: 1 })
      expect(await deadLetters()).toEqual([letter])
      expect(await readWork(letter)).toEqual(before)
      expect(await redrive([letter])).toEqual({ redriven: 0, alreadyQueued: 1 })
      expect(
        await runtime.rows('select "workId" from "JobAction" where "action" = $1', ['redrive']),
      ).toEqual([{ workId: free }])

      await runtime.rows('delete from pgboss.job where id = $1', [holder])
      expect(await redrive()).toEqual({ redriven: 1, alreadyQueued: 0 })
    },
  )

  it('stays where another dead letter with it goes first', async () => {
    const letters = [await fail('a'), await fail('a'), await fail()]
    expect(await redrive()).toEqual({ redriven: 2, alreadyQueued: 1 })
    expect(letters).toContain((await deadLetters())[0])
    expect(await deadLetters()).toHaveLength(1)
  })

  it('stays as it was where the key is taken at this very moment', async () => {
    const letter = await fail('a')
    const before = await readWork(letter)
    const redriving = await runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, {}, { uniqueKey: 'a' })
      const outcome = redrive()
      await isWaiting()
      return { outcome }
    })
    expect(await redriving.outcome).toEqual({ redriven: 0, alreadyQueued: 1 })
    expect(await readWork(letter)).toEqual(before)
  })

  it('is run by no hand either, and nothing is recorded', async () => {
    const letter = await fail('a')
    const holder = await enqueue('a')
    expect(await once(letter)).toEqual({ kind: 'alreadyQueued', workId: holder })
    expect(await deadLetters()).toEqual([letter])
    expect(await runtime.rows('select from "JobRun"')).toHaveLength(1)

    await runtime.rows('delete from pgboss.job where id = $1', [holder])
    const running = await runtime.prisma.$transaction(async (tx) => {
      const { workId } = await opened.client.enqueue(tx, parcel, {}, { uniqueKey: 'a' })
      const result = once(letter)
      await isWaiting()
      return { result, workId }
    })
    expect(await running.result).toEqual({ kind: 'alreadyQueued', workId: running.workId })
    expect(await deadLetters()).toEqual([letter])
  })
})

describe('redriving', () => {
  it('keeps all that work is made of, and nothing of its failure', async () => {
    const letter = await fail('a')
    const former = {
      expiresAt: '2026-01-01T00:00:00.000Z',
      replacedBy: 'x',
      lostAlone: 1,
      approvedRows: 1,
      approvedUntil: '2026-01-01T00:00:00.000Z',
    }
    await runtime.rows('update pgboss.job set priority = 7, data = data || $1', [former])
    const [before] = await readWork(letter)
    await redrive()
    const [after] = await readWork(letter)
    expect(after!.row).toEqual({
      ...before!.row,
      state: 'retry',
      start_after: expect.any(String),
      completed_on: null,
      output: null,
      retry_limit: 1,
      data: { payload: {}, trigger: 'queue', replacedBy: 'x', ...by },
      keep_until: expect.any(String),
      deletion_seconds: 604_800,
    })
  })

  it('passes over what somebody else is redriving, and does not wait for it', async () => {
    const letters = [await fail(), await fail()]
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from pgboss.job where id = $1 for update', [letters[0]])
      const redriving = runtime.prisma.$transaction(async (other) => {
        await other.$executeRawUnsafe(`set local lock_timeout = '3s'`)
        return await opened.client.redriveWork(other, parcel, 'all', by)
      })
      await expect(redriving).resolves.toEqual({ redriven: 1, alreadyQueued: 0 })
    })
    expect(await deadLetters()).toEqual([letters[0]])
  })
})

it('what has gone back meanwhile is not discarded', async () => {
  const letters = [await fail(), await fail()].map((workId) => ({ name: 'parcel', workId }))
  await redrive([letters[0]!.workId])
  expect(await opened.client.discardDeadLetters(null, letters, by)).toBe(1)
  expect(await readWork(letters[0]!.workId)).toHaveLength(1)
  expect(await readWork(letters[1]!.workId)).toEqual([])
})

describe('a dead letter of an exclusive job', () => {
  it('stays what it is while a run of the job is under way', async () => {
    const letter = await fail(undefined, rounds)
    const before = await readWork(letter)
    const runId = crypto.randomUUID()
    const workerId = createWorkerId()
    await runtime.rows(`insert into "JobWorker" ("id", "liveness") values ($1, 'heartbeat')`, [
      workerId,
    ])
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId") values ($1, 'rounds', 'cli', $2)`,
      [runId, workerId],
    )
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
       values (gen_random_uuid(), 'rounds', $2, 'rounds', array[$1::uuid])`,
      [runId, workerId],
    )
    expect(await once(letter, rounds)).toEqual({ kind: 'alreadyRunning', runId, workerId })
    expect(await readWork(letter)).toEqual(before)
  })
})

async function isWaiting(): Promise<void> {
  await waitFor(
    async () =>
      (
        await runtime.rows(
          `select from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' and query like '%pgboss.job%'`,
        )
      ).length > 0,
    { message: 'Waiting for the key' },
  )
}
