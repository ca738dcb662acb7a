import fc from 'fast-check'
import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { explainWork, WAIT_REASONS, type WaitReasonKind } from '../../src/read/explainWork.ts'
import { claimWork } from '../../src/store/claimWork.ts'
import { placeDue } from '../../src/store/looks.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { claimRequest } from '../claimRequest.ts'

const parcel = defineJob({ name: 'parcel', retry: { limit: 0 } })
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

/** What a worker would do that has this slot free: true when it takes this piece. */
async function takesNext(workId: string, isAlone: boolean): Promise<boolean> {
  await placeDue(runtime.database, ['parcel'])
  return await runtime.database
    .transaction(async (tx) => {
      const request = claimRequest('parcel', { limit: 1, exclusiveKey: 'parcel' })
      const { work } = await claimWork(tx, {
        workerId: 'w1',
        requests: [request],
        startedAt: new Date(),
        suspects: isAlone ? { isAlone } : undefined,
      })
      throw new Undone(work[0]?.run.workId === workId)
    })
    .catch((error: unknown) => {
      if (error instanceof Undone) return error.isTaken
      throw error
    })
}
class Undone extends Error {
  readonly isTaken: boolean
  constructor(isTaken: boolean) {
    super()
    this.isTaken = isTaken
  }
}

/** How a test brings each about, and how somebody lifts it. */
const REASONS = {
  paused: {
    make: () => queue.client.pauseQueue('parcel', by),
    lift: () => queue.client.resumeQueue('parcel', by),
  },
  noWorker: { make: () => setLanes(null), lift: () => setLanes(3) },
  needsLater: {
    make: (id: string) => runtime.rows(`update "JobWork" set "needs" = 9 where "id" = $1`, [id]),
    lift: (id: string) => runtime.rows(`update "JobWork" set "needs" = 0 where "id" = $1`, [id]),
  },
  delayed: {
    make: (id: string) => postpone(id, new Date(Date.now() + 3_600_000)),
    lift: (id: string) => postpone(id, new Date(0)),
  },
  exclusive: {
    make: () => hold(`'parcel'`),
    lift: () => runtime.rows('delete from "JobClaim"'),
  },
  behind: {
    make: () => enqueue({ priority: 9 }),
    lift: (id: string) => runtime.rows(`delete from "JobWork" where "id" <> $1`, [id]),
  },
} satisfies Partial<
  Record<WaitReasonKind, Record<'make' | 'lift', (id: string) => Promise<unknown>>>
>
type Made = keyof typeof REASONS

const postpone = (id: string, startAfter: Date) =>
  queue.client.postponeWork({ job: parcel, ids: [id] }, { ...by, startAfter })
const hold = (exclusiveKey: string) =>
  runtime.rows<{ id: string }>(`
    insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
    values (gen_random_uuid(), 'parcel', 'w1', ${exclusiveKey}, now(), 'infinity', array[gen_random_uuid()], array[now()])
    returning "runIds"[1]::text as "id"`)

describe('why a piece of work waits', () => {
  it('is all that binds: lifted one by one it starts, and not before', async () => {
    const drawn = fc.uniqueArray(fc.constantFrom(...(Object.keys(REASONS) as Made[])), {
      maxLength: 6,
    })
    await fc.assert(
      fc.asyncProperty(drawn, fc.boolean(), async (made, isAlone) => {
        await runtime.clear('JobQueue')
        await setLanes(3)
        const id = await enqueue()
        if (isAlone) await runtime.rows(`update "JobWork" set "losses" = 2 where "id" = $1`, [id])
        for (const kind of made) await REASONS[kind].make(id)
        // Postponed work is behind all that is ready, whoever else waits; what runs alone is ordered apart.
        const left = new Set<WaitReasonKind>(made.filter((kind) => kind !== 'behind' || !isAlone))
        if (isAlone) left.add('alone')
        for (;;) {
          const found = await explain(id)
          const kinds = found?.reasons.map(({ kind }) => kind) ?? []
          expect(new Set(kinds)).toEqual(left)
          expect(found?.text).toBe(found?.reasons[0]?.text ?? 'a worker takes it next')
          const [first] = kinds.filter((kind) => kind !== 'alone')
          // A claim knows nothing of lanes: a worker that does not have the job makes none.
          const isLast =
            first === undefined || kinds.every((k) => k === 'noWorker' || k === 'alone')
          expect(await takesNext(id, isAlone)).toBe(isLast)
          if (first === undefined) break
          await REASONS[first as Made].lift(id)
          left.delete(first)
        }
      }),
      { numRuns: 60 },
    )
  })

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
  const park = (name: string, key: string) =>
    runtime.rows(
      `insert into "JobPark" ("name", "key", "until", "reason") values ($1, $2, now() + interval '1 hour', '429')`,
      [name, key],
    )
  const clear = (table: string, where = 'true') =>
    runtime.rows(`delete from "${table}" where ${where}`)

  /** How each comes about for work of the key a, and what lifts it. */
  const MADE = {
    keyPaused: {
      make: () => queue.client.keys.set(sync, 'a', { paused: true }, by),
      lift: () => queue.client.keys.set(sync, 'a', { paused: false }, by),
    },
    parked: { make: () => park('stripe', ''), lift: () => clear('JobPark') },
    limitFull: {
      make: async () => {
        await insertLimit('stripe', { global: 1, jobs: ['sync', 'other'] })
        await holdUnder('other', '', ['stripe'])
      },
      lift: () => clear('JobClaim', `"name" = 'other'`),
    },
    keyFull: {
      make: async () => {
        await insertLimit('job:sync', { perKey: 1 })
        await holdUnder('sync', 'a', ['job:sync'])
        // Another key's runs say nothing of this one's.
        await holdUnder('sync', 'b', ['job:sync'])
      },
      lift: () => clear('JobClaim', `"keys" = '{a}'`),
    },
    noToken: {
      make: async () => {
        await insertLimit('job:sync', { rateLimit: 5, ratePerMs: 1_000, rateBy: 'key' })
        await runtime.rows(
          `insert into "JobKeyThrottle" ("name", "key", "freeAt") values ('sync', 'a', now() + interval '1 hour')`,
        )
      },
      lift: () => clear('JobKeyThrottle'),
    },
    behind: {
      make: async (id: string) => {
        await put('a')
        await runtime.rows(`update "JobWork" set "rank" = -1 where "id" <> $1`, [id])
      },
      lift: (id: string) => runtime.rows(`delete from "JobWork" where "id" <> $1`, [id]),
    },
  } satisfies Partial<
    Record<WaitReasonKind, Record<'make' | 'lift', (id: string) => Promise<unknown>>>
  >

  beforeEach(async () => {
    await runtime.rows(`update "JobWorker" set "lanes" = '{"sync": 9}' where "id" = 'w1'`)
  })

  it('is all that binds, in the order of how hard it is to lift, and no more once that is lifted', async () => {
    const kinds = Object.keys(MADE) as (keyof typeof MADE)[]
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.constantFrom(...kinds)), async (drawn) => {
        await runtime.clear('JobLimit', 'JobKey', 'JobPark', 'JobKeyThrottle')
        await insertLimit('job:sync', { order: 'fair' })
        await insertLimit('stripe', { jobs: ['sync', 'other'] })
        const id = await put('a')
        for (const kind of drawn) await MADE[kind].make(id)
        const left = new Set<WaitReasonKind>(drawn)
        for (;;) {
          const found = await explain(id)
          const said = found?.reasons.map(({ kind }) => kind) ?? []
          expect(said).toEqual(WAIT_REASONS.filter((kind) => left.has(kind)))
          const [first] = said
          if (first === undefined) break
          await MADE[first as keyof typeof MADE].lift(id)
          left.delete(first)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('says which limit, which key, who has set it, and which runs have the slots', async () => {
    await runtime.clear('JobLimit', 'JobKey', 'JobPark', 'JobKeyThrottle')
    await insertLimit('job:sync', { order: 'fair', perKey: 1, global: 9 })
    await holdUnder('sync', 'a', ['job:sync'])
    await queue.client.limits.set({ job: sync }, { global: 1 }, by)
    await park('job:sync', 'a')
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
    await runtime.clear('JobLimit', 'JobKey', 'JobPark')
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
      'given up, and a dead letter: broken: no',
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
