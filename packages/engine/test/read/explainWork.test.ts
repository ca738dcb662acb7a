import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { explainWork } from '../../src/read/explainWork.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', retry: { limit: 0 }, dryRun: true })
const by = { actor: 'admin@example.com', reason: 'the partner is away' }

const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [parcel]))

beforeEach(async () => {
  await runtime.clear('JobAction', 'JobQueue')
  await setLanes(3)
})

const setLanes = async (slots: number | null) =>
  await runtime.rows(`update "JobWorker" set "lanes" = $1::jsonb where "id" = 'w1'`, [
    JSON.stringify(slots === null ? {} : { parcel: slots }),
  ])
const explain = (id: string) => explainWork(runtime.reader, id)
const enqueue = async (options?: object) =>
  (await queue.client.enqueueNow(parcel, {}, options)).workId

const hold = (exclusiveKey: string) =>
  runtime.rows<{ id: string }>(`
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
    values (gen_random_uuid(), 'parcel', 'w1', ${exclusiveKey}, now(), 'infinity', array[gen_random_uuid()], array[now()])
    returning "runIds"[1]::text as "id"`)

describe('why a piece of work waits', () => {
  it('says who, why, since and until when, and which runs', async () => {
    const id = await enqueue({ startAfter: new Date('2099-01-01T00:00:00Z') })
    await queue.client.pauseQueue('parcel', by)
    const [run] = await hold(`'parcel'`)
    const found = await explain(id)
    expect(found).toMatchObject({ workId: id, name: 'parcel', state: 'waiting', runId: null })
    expect(found?.reasons).toMatchObject([
      {
        kind: 'paused',
        text: 'the queue is paused by admin@example.com: the partner is away',
        since: expect.stringMatching(/Z$/),
      },
      { kind: 'delayed', until: '2099-01-01T00:00:00.000Z' },
      {
        kind: 'exclusive',
        runs: [{ runId: run?.id, workerId: 'w1', startedAt: expect.stringMatching(/Z$/) }],
      },
    ])
  })

  it('is that all slots are taken, until one of those runs has ended', async () => {
    await setLanes(2)
    const others = [await enqueue(), await enqueue()]
    const id = await enqueue()
    const taken = await queue.take('parcel', 2)
    expect(taken.map(({ workId }) => workId)).toEqual(others)
    const [reason, ...more] = (await explain(id))?.reasons ?? []
    expect(more).toEqual([])
    expect(reason).toMatchObject({
      kind: 'slotsFull',
      text: 'all 2 slots of its workers are taken',
    })
    expect(reason?.runs.map(({ runId }) => runId).toSorted()).toEqual(
      taken.map(({ runId }) => runId).toSorted(),
    )
    await queue.complete(taken.slice(0, 1))
    expect((await explain(id))?.reasons).toEqual([])
    await queue.complete(taken.slice(1))
  })

  it('is that it runs alone, or what has a higher priority', async () => {
    const [id, alone] = [await enqueue(), await enqueue()]
    await runtime.rows(`update "JobWork" set "losses" = 2 where "id" = $1`, [alone])
    const kinds = async (of: string) => (await explain(of))?.reasons.map(({ kind }) => kind)
    expect([await kinds(id), await kinds(alone)]).toEqual([[], ['alone']])
    await enqueue({ priority: 9 })
    expect(await kinds(id)).toEqual(['behind'])
  })

  it('is a retry that is not due', async () => {
    const id = await enqueue()
    await runtime.rows(
      `update "JobWork" set "attempt" = 2, "place" = null, "dueAt" = now() + interval '1 hour' where "id" = $1`,
      [id],
    )
    expect((await explain(id))?.reasons).toMatchObject([
      { kind: 'retry', text: 'attempt 2 is not due' },
    ])
  })

  it('is nothing for a dry run beside the run of an exclusive job', async () => {
    await hold(`'parcel'`)
    const id = await queue.client.requestRun(parcel, { ...by, dryRun: true })
    expect((await explain(id))?.reasons).toEqual([])
  })
})

describe('why a piece of work under limits waits', () => {
  const sync = defineJob({
    name: 'sync',
    payload: z.object({ tenant: z.string() }),
    partition: { key: ({ tenant }) => tenant },
  })
  const put = async (tenant: string) => (await queue.client.enqueueNow(sync, { tenant })).workId
  const insertLimit = (name: string, columns: object = {}) =>
    runtime.rows(
      `insert into "JobLimit" ("name", "global", "perKey", "order", "rateLimit", "ratePerMs", "rateBy", "jobs")
       select $1, "global", "perKey", "order", "rateLimit", "ratePerMs", "rateBy", "jobs" from jsonb_to_record($2::jsonb)
         as said("global" int, "perKey" int, "order" text, "rateLimit" int, "ratePerMs" bigint, "rateBy" text, "jobs" text[])
       on conflict ("name") do update set "global" = coalesce(excluded."global", "JobLimit"."global"),
         "perKey" = coalesce(excluded."perKey", "JobLimit"."perKey"), "rateLimit" = coalesce(excluded."rateLimit", "JobLimit"."rateLimit"),
         "ratePerMs" = coalesce(excluded."ratePerMs", "JobLimit"."ratePerMs"), "rateBy" = coalesce(excluded."rateBy", "JobLimit"."rateBy")`,
      [name, JSON.stringify(columns)],
    )
  const holdUnder = (name: string, key: string, limits: string[]) =>
    runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "keys", "enqueuedAts", "limits", "place")
       values (gen_random_uuid(), $1, 'w9', now(), 'infinity', array[gen_random_uuid()], array[$2::text], array[now()], $3::text[], 1)`,
      [name, key, limits],
    )
  const insertKey = (column: 'parkedUntil' | 'freeAt') =>
    runtime.rows(
      `insert into "JobKey" ("name", "key", "${column}", "parkReason") values ('sync', 'a', now() + interval '1 hour', '429')
       on conflict ("name", "key") do update set "${column}" = excluded."${column}"`,
    )
  beforeEach(async () => {
    await runtime.rows(`update "JobWorker" set "lanes" = '{"sync": 9}' where "id" = 'w1'`)
  })

  it('says which limit, which key, who has set it, and which runs have the slots', async () => {
    await runtime.clear('JobLimit', 'JobKey')
    await insertLimit('job:sync', { order: 'fair', perKey: 1, global: 9 })
    await holdUnder('sync', 'a', ['job:sync'])
    await queue.client.limits.set({ job: sync }, { global: 1 }, by)
    await insertKey('parkedUntil')
    const id = await put('a')
    expect((await explain(id))?.reasons).toMatchObject([
      { kind: 'parked', text: 'its key a waits: 429', until: expect.stringMatching(/Z$/) },
      {
        kind: 'limitFull',
        text: 'all 1 slots of sync are taken, as admin@example.com has set',
        runs: [{ workerId: 'w9' }],
      },
      { kind: 'keyFull', text: 'all 1 slots of its key a are taken', runs: [{ workerId: 'w9' }] },
    ])
  })

  it('is earlier work of its key, a dead letter too, where the order is fifo', async () => {
    await runtime.clear('JobLimit', 'JobKey')
    await insertLimit('job:sync', { order: 'fifo' })
    const [first, other, second] = [await put('a'), await put('b'), await put('a')]
    const heads = async (id: string) =>
      ((await explain(id))?.reasons ?? []).flatMap(({ kind, text }) =>
        kind === 'keyHead' ? [text] : [],
      )
    expect(await heads(second)).toEqual([`earlier work of its key a comes first: ${first}`])
    expect([await heads(first), await heads(other)]).toEqual([[], []])
    await runtime.rows(`
      with gone as (delete from "JobWork" where "id" = '${first}' returning *)
      insert into "JobDeadLetter" ("id", "name", "key", "bytes", "payload", "errorCode", "errorMessage")
      select "id", "name", "key", "bytes", "payload", 'broken', '' from gone`)
    expect(await heads(second)).toEqual([`earlier work of its key a comes first: ${first}`])
  })
})

describe('what became of a piece of work', () => {
  const stateOf = async (id: string) => {
    const found = await explain(id)
    return [found?.state, found?.text, found?.name]
  }

  it('is told from where it is, or by its last run', async () => {
    const id = await enqueue()
    const [taken] = await queue.take('parcel')
    expect(await stateOf(id)).toEqual(['running', 'runs in worker w1', 'parcel'])
    expect((await explain(id))?.runId).toBe(taken?.runId)
    await queue.complete([taken!])
    expect(await stateOf(id)).toEqual(['completed', 'completed', 'parcel'])

    const other = await enqueue()
    await queue.fail(await queue.take('parcel'), { code: 'broken', message: 'no' }, 'retry')
    expect(await stateOf(other)).toEqual([
      'deadLetter',
      'given up, and a dead letter: broken',
      'parcel',
    ])
    await queue.client.discardDeadLetters({ ids: [other] }, by)
    expect(await stateOf(other)).toEqual([
      'discarded',
      'discarded by admin@example.com: the partner is away',
      'parcel',
    ])
  })

  it('is told by whoever cancelled it, alone or with others', async () => {
    const [one, other] = [await enqueue(), await enqueue()]
    const cancelled = 'cancelled by admin@example.com: the partner is away'
    await queue.client.cancelWork({ job: parcel, ids: [one] }, by)
    expect(await stateOf(one)).toEqual(['cancelled', cancelled, 'parcel'])
    await queue.client.actOnMany({ ...by, kind: 'cancelWork', which: { name: 'parcel' } })
    expect(await stateOf(other)).toEqual(['cancelled', cancelled, 'parcel'])
  })

  it('is unknown where nothing tells of it', async () => {
    expect(await explain(crypto.randomUUID())).toBeNull()
  })
})
