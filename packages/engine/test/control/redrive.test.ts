import { openForTests, waitFor, useLivingWorkers } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { listDeadLetters, type WhichLetters } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { countLockWaits } from '../countLockWaits.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ text: z.string().optional() }),
  retry: { limit: 0 },
})
const rounds = defineJob({
  name: 'rounds',
  schedule: { cron: '0 0 1 1 *' },
  retry: { limit: 0 },
})
const by = { actor: 'admin@example.com', reason: 'mended' }
const broken = { code: 'broken', message: '' }

const runtime = useTestRuntime({ cleared: ['JobAction'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel, rounds]))
useLivingWorkers(() => runtime.url, 'by hand')

type OneJob = typeof parcel | typeof rounds

const enqueue = async (uniqueKey?: string, job: OneJob = parcel, payload = {}) =>
  (
    await runtime.prisma.$transaction((tx) =>
      opened.client.enqueue(tx, job, payload, uniqueKey === undefined ? {} : { uniqueKey }),
    )
  ).workId

/** Makes a dead letter. */
async function fail(uniqueKey?: string, job: OneJob = parcel, payload = {}) {
  const workId = await enqueue(uniqueKey, job, payload)
  await opened.fail(await opened.take(job.name), broken, 'giveUp')
  return workId
}

/** Makes many, a millisecond apart from the latest on. */
const insertMany = (name: string, count: number, code = 'broken') =>
  runtime.rows(
    `insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage", "failedAt")
     select gen_random_uuid(), $1, 2, '{}', $3, '', now() - n * interval '1 ms' from generate_series(1, $2::int) n`,
    [name, count, code],
  )

const redrive = (which: WhichLetters = 'all', evenIfWorkersDied = false) =>
  runtime.prisma.$transaction((tx) =>
    opened.client.redriveDeadLetters(which, { ...by, evenIfWorkersDied }, { tx }),
  )
const deadLetters = async () =>
  (await listDeadLetters(runtime.reader, { limit: 50 })).deadLetters.map(({ workId }) => workId)
const readLetter = (id: string) =>
  runtime.rows('select * from "JobDeadLetter" where "id" = $1', [id])
const readWork = (id: string) => runtime.rows('select * from "JobWork" where "id" = $1', [id])
const keys = () => runtime.rows('select "key", "workId" from "JobUnique" order by 1')
const once = (deadLetter: string, job: OneJob = parcel) =>
  runOnce({
    ...runtime.runOptions,
    job,
    handler: async () => undefined,
    deadLetter,
  })

describe('a dead letter whose unique key other work holds', () => {
  const holding = {
    waits: () => enqueue('a'),
    'is to be retried': async () => {
      const workId = await enqueue('a')
      await opened.fail(await opened.take('parcel'), broken, 'redeliver')
      return workId
    },
    runs: async () => {
      const workId = await enqueue('a')
      await opened.take('parcel')
      return workId
    },
  }
  it.each(Object.entries(holding))(
    'stays while that %s, says so, and is redriven afterwards',
    async (_state, hold) => {
      const letter = await fail('a')
      const free = await fail('b')
      const before = await readLetter(letter)
      const holder = await hold()

      expect(await redrive()).toMatchObject({ redriven: 1, alreadyQueued: 1 })
      expect(await deadLetters()).toEqual([letter])
      expect(await readLetter(letter)).toEqual(before)
      expect(await redrive({ ids: [letter] })).toMatchObject({ redriven: 0, alreadyQueued: 1 })
      expect(
        await runtime.rows('select "workId" from "JobAction" where "action" = $1', ['redrive']),
      ).toEqual([{ workId: free }])

      await runtime.rows('delete from "JobUnique" where "workId" = $1', [holder])
      expect(await redrive()).toMatchObject({ redriven: 1, alreadyQueued: 0 })
      expect(await keys()).toContainEqual({ key: 'a', workId: letter })
    },
  )

  it('stays where an older dead letter with it goes first', async () => {
    const letters = [await fail('a'), await fail('a'), await fail()]
    expect(await redrive()).toMatchObject({ redriven: 2, alreadyQueued: 1 })
    expect(await deadLetters()).toEqual([letters[1]])
  })

  it('is redriven where the key that holds it up is its own, which nobody has freed yet', async () => {
    const letter = await fail('a')
    await runtime.rows(`insert into "JobUnique" values ('parcel', 'a', $1)`, [letter])
    expect(await redrive()).toMatchObject({ redriven: 1, alreadyQueued: 0 })
    expect(await keys()).toEqual([{ key: 'a', workId: letter }])
  })

  it('stays as it was where the key is taken at this very moment', async () => {
    const letter = await fail('a')
    const before = await readLetter(letter)
    const redriving = await runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, {}, { uniqueKey: 'a' })
      const outcome = redrive()
      await isWaiting()
      return { outcome }
    })
    expect(await redriving.outcome).toMatchObject({ redriven: 0, alreadyQueued: 1 })
    expect(await readLetter(letter)).toEqual(before)
  })

  it('is run by no hand either, and nothing is recorded', async () => {
    const letter = await fail('a')
    const holder = await enqueue('a')
    expect(await once(letter)).toEqual({ kind: 'alreadyQueued', workId: holder })
    expect(await deadLetters()).toEqual([letter])
    expect(await runtime.rows('select from "JobRun"')).toHaveLength(1)

    await runtime.rows('delete from "JobUnique"; delete from "JobWork"')
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
    const letter = await fail('a', parcel, {})
    const facts = { trigger: 'manual', attemptsBefore: 1, shown: { n: 1 } }
    const former = { expiresAt: 'x', approvedRows: 1, approvedUntil: 'x', actor: 'former' }
    const kept = {
      rank: -7,
      losses: 3,
      needs: 0,
      resumptions: null,
      bytes: 2,
      uniqueKey: 'a',
      key: 'k',
      label: 'l',
    }
    await runtime.rows(
      `update "JobDeadLetter" set "rank" = -7, "losses" = 3, "lossesAlone" = 2, "failures" = 4, "attempt" = 9, "key" = 'k',
         "label" = 'l', "facts" = $1`,
      [{ ...facts, ...former }],
    )
    const [before] = await readLetter(letter)
    await redrive('all', true)
    const [after] = await readWork(letter)
    expect(after).toEqual({
      ...kept,
      id: letter,
      name: 'parcel',
      place: expect.any(String),
      dueAt: expect.any(Date),
      attempt: 10,
      failures: 0,
      lossesAlone: 0,
      enqueuedAt: before!['enqueuedAt'],
      facts: { ...facts, ...by },
      payload: {},
      payloadId: null,
    })
  })

  it('leaves what two workers have died of, and says how many, unless it is wanted all the same', async () => {
    const [none, single, twice, often] = [await fail(), await fail(), await fail(), await fail()]
    await runtime.rows(
      `update "JobDeadLetter" set "losses" = lost.count from unnest($1::uuid[], array[0, 1, 2, 5]) lost(id, count)
       where "JobDeadLetter"."id" = lost.id`,
      [[none, single, twice, often]],
    )
    expect(await redrive()).toMatchObject({ redriven: 2, endedWorkers: 2, alreadyQueued: 0 })
    expect(new Set(await deadLetters())).toEqual(new Set([twice, often]))
    expect(await redrive({ ids: [twice] })).toMatchObject({ redriven: 0, endedWorkers: 1 })
    expect(await redrive({ ids: [twice] }, true)).toMatchObject({ redriven: 1, endedWorkers: 0 })
    expect(await deadLetters()).toEqual([often])
  })

  it('puts the oldest first, behind what was ready before', async () => {
    const letters = [await fail(), await fail(), await fail()]
    const ready = await enqueue()
    await redrive()
    expect((await opened.take('parcel')).map(({ workId }) => workId)).toEqual([ready, ...letters])
  })

  it('leaves a payload where it is that is too long to be moved, and a discard removes it', async () => {
    const payload = { text: 'x'.repeat(2_000) }
    const ids = [await fail(undefined, parcel, payload), await fail(undefined, parcel, payload)]
    await redrive({ ids: [ids[0]!] })
    const [work] = await opened.take('parcel')
    expect(work).toMatchObject({ workId: ids[0], attempt: 2, payload })
    await opened.client.discardDeadLetters({ ids: [ids[1]!] }, by)
    expect(await runtime.rows('select "workId" from "JobPayload"')).toEqual([{ workId: ids[0] }])
  })

  it('passes over what somebody else is redriving, and does not wait for it', async () => {
    const letters = [await fail(), await fail()]
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobDeadLetter" where "id" = $1 for update', [letters[0]])
      const redriving = runtime.prisma.$transaction(async (other) => {
        await other.$executeRawUnsafe(`set local lock_timeout = '3s'`)
        return await opened.client.redriveDeadLetters('all', by, { tx: other })
      })
      await expect(redriving).resolves.toMatchObject({ redriven: 1, alreadyQueued: 0 })
    })
    expect(await deadLetters()).toEqual([letters[0]])
  })

  it('leaves those of other jobs than are asked for, and counts them', async () => {
    const own = await fail()
    const other = await fail(undefined, rounds)
    const of = { ...by, jobs: [parcel] }
    const outcome = await opened.client.redriveDeadLetters({ ids: [own, other] }, of)
    expect(outcome).toMatchObject({ redriven: 1, unknown: 1 })
    expect(await deadLetters()).toEqual([other])
  })
})

it('finds the dead letters of a job, its causes too, behind 10,000 later ones of another', async () => {
  const letter = await fail()
  await insertMany('rounds', 10_001, 'later')
  await runtime.rows(`update "JobDeadLetter" set "failedAt" = '2020-01-01Z' where "id" = $1`, [
    letter,
  ])
  const { deadLetters: found } = await listDeadLetters(runtime.reader, { limit: 2, name: 'parcel' })
  expect(found).toMatchObject([{ workId: letter }])
})

describe('discarding', () => {
  it('leaves what has gone back meanwhile', async () => {
    const ids = [await fail(), await fail()]
    await redrive({ ids: [ids[0]!] })
    const outcome = await opened.client.discardDeadLetters({ ids }, by)
    expect(outcome).toEqual({ discarded: 1, left: 0 })
    expect(await readWork(ids[0]!)).toHaveLength(1)
    expect(await deadLetters()).toEqual([])
  })

  it('takes the latest of those that match, and says how many it has left', async () => {
    await insertMany('parcel', 10_001)
    await insertMany('rounds', 1)
    const [oldest] = await runtime.rows<{ id: string }>(
      `select "id"::text as "id" from "JobDeadLetter" where "name" = 'parcel' order by "failedAt" limit 1`,
    )
    const filter = { name: 'parcel' }
    const first = await opened.client.discardDeadLetters({ filter }, by)
    expect(first).toEqual({ discarded: 10_000, left: 1 })
    expect(await deadLetters()).toEqual([expect.any(String), oldest!.id])
    const second = await opened.client.discardDeadLetters({ filter }, by)
    expect(second).toEqual({ discarded: 1, left: 0 })
    expect(await deadLetters()).toHaveLength(1)
  })
})

describe('a dead letter of an exclusive job', () => {
  it('stays what it is while a run of the job is under way', async () => {
    const letter = await fail(undefined, rounds)
    const before = await readLetter(letter)
    const runId = crypto.randomUUID()
    const workerId = 'by hand'
    await runtime.rows(`insert into "JobWorker" ("id") values ($1)`, [workerId])
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "origin", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'rounds', $2, 'hand', 'rounds', now(), now() + interval '1 hour', array[$1::uuid], array[now()])`,
      [runId, workerId],
    )
    expect(await once(letter, rounds)).toEqual({ kind: 'alreadyRunning', runId, workerId })
    expect(await readLetter(letter)).toEqual(before)
  })
})

async function isWaiting(): Promise<void> {
  await waitFor(() => countLockWaits(runtime, { text: '"JobUnique"' }), {
    message: 'Waiting for the key',
  })
}
