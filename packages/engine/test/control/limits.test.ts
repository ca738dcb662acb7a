import { openForTests, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, defineLimit, type Job } from '../../src/index.ts'
import { registerLimits, settleLimits } from '../../src/worker/registerLimits.ts'
import { asWorker } from '../asWorker.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const by = { actor: 'ada@example.com', reason: 'the partner asked' }
const stripe = (global: number) => defineLimit({ name: 'stripe', global })
const sync = (global: number, more: object = {}) =>
  defineJob({
    name: 'sync',
    payload: z.object({ tenant: z.string() }),
    concurrency: { global, perKey: 2 },
    partition: { key: ({ tenant }) => tenant },
    ...more,
  })
const charge = defineJob({ name: 'charge', limits: [stripe(20)] })
const refund = defineJob({ name: 'refund', limits: [stripe(20)] })
const paced = defineJob({ name: 'paced', rateLimit: { limit: 10, perMs: 1_000 } })

const runtime = useTestRuntime({ cleared: ['JobAction', 'JobLimit', 'JobKey', 'JobWorker'] })
const queue = openForTests(() => openTestQueue(runtime, [sync(5) as Job, charge, refund]))
/** Registers jobs as a worker that lives. */
const register = (workerId: string, ...jobs: Job[]) =>
  asWorker(runtime.database, workerId, async () => {
    await runtime.rows(
      `insert into "JobWorker" ("id", "lanes") values ($1, '{}') on conflict do nothing`,
      [workerId],
    )
    await runtime.database.transaction((tx) => registerLimits(tx, { workerId, jobs }))
  })
/** As a round of a worker that lives, with these jobs. */
const settle = (workerId: string, ...jobs: Job[]) =>
  asWorker(runtime.database, workerId, () => settleLimits(runtime.database, { workerId, jobs }))
const globals = async () =>
  Object.fromEntries(
    (
      await runtime.rows<{ name: string; global: number | null }>(
        'select "name", "global" from "JobLimit"',
      )
    ).map(({ name, global }) => [name, global]),
  )
const actions = () =>
  runtime.column<string>(
    `select "name" || ' ' || "action" || ' ' || "actor" || ' ' || "reason" as said from "JobAction" order by "at", "name"`,
  )

describe('the limits of a version', () => {
  it('become rows, that of a job apart from one that jobs share', async () => {
    await register('v1', sync(5), charge, refund, paced, defineJob({ name: 'free' }))
    expect(
      await runtime.rows(
        `select "name", "global", "perKey", "order", "rateLimit", "ratePerMs"::int as "ratePerMs", "rateBy", "jobs" from "JobLimit" order by 1`,
      ),
    ).toEqual([
      expect.objectContaining({ name: 'job:charge', global: null, order: null, jobs: null }),
      expect.objectContaining({
        name: 'job:paced',
        rateLimit: 10,
        ratePerMs: 1_000,
        rateBy: 'job',
      }),
      expect.objectContaining({ name: 'job:refund', global: null }),
      expect.objectContaining({ name: 'job:sync', global: 5, perKey: 2, order: 'fair' }),
      expect.objectContaining({ name: 'stripe', global: 20, jobs: ['charge', 'refund'] }),
    ])
    expect(await actions()).toEqual([])
  })

  it('are the stricter at once, and loosen in a round that sees no living worker that says otherwise', async () => {
    await register('v1', sync(5))
    await register('v2', sync(9))
    await asWorker(runtime.database, 'v1', () => settle('v2', sync(9)))
    expect(await globals()).toEqual({ 'job:sync': 5 })
    await settle('v2', sync(9))
    expect(await globals()).toEqual({ 'job:sync': 9 })
    await register('v1', sync(5))
    expect(await globals()).toEqual({ 'job:sync': 5 })
    expect(await actions()).toEqual([
      'sync setLimit v2 9 at once, 2 of each key, keys fair, before: 5 at once, 2 of each key, keys fair',
      'sync setLimit v1 5 at once, 2 of each key, keys fair, before: 9 at once, 2 of each key, keys fair',
    ])
  })

  it('are the stricter where a round is about to loosen them', async () => {
    await register('v1', sync(5))
    let starting: Promise<void> | undefined
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobLimit" for update')
      starting = register('v2', sync(5))
      starting.catch(() => undefined)
      await waitFor(() => countLockWaits(runtime))
      await tx.query('update "JobLimit" set "global" = 9')
    })
    await starting
    expect(await globals()).toEqual({ 'job:sync': 5 })
  })

  it('leave a job that has none any more, and a shared limit, once no living worker has them', async () => {
    await register('v1', sync(5), charge, refund)
    await settle('v2', defineJob({ name: 'sync' }), charge, defineJob({ name: 'refund' }))
    expect(await globals()).toMatchObject({ 'job:sync': null, stripe: 20 })
    expect(
      await runtime.rows(
        `select "order", "jobs" from "JobLimit" where "name" in ('job:sync', 'stripe') order by "name"`,
      ),
    ).toEqual([
      { order: null, jobs: null },
      { order: null, jobs: ['charge'] },
    ])
    const places = () => runtime.rows('select "name", "changedPlace" from "JobLimit" order by 1')
    const before = await places()
    await settle('v2', defineJob({ name: 'sync' }), charge, defineJob({ name: 'refund' }))
    expect(await places()).toEqual(before)
  })

  it('stay for the jobs of another program where one leaves a shared limit', async () => {
    await register('mail', refund)
    await register('shop', charge)
    await settle('shop', defineJob({ name: 'charge' }))
    expect(await queue.client.limits.list()).toMatchObject([
      { name: 'stripe', jobs: ['refund'], global: 20 },
    ])
    expect(await actions()).toContain('charge setLimit shop stripe: no limit, before: 20 at once')
  })

  it('of rates that differ allow no more than either of them', async () => {
    const rated = (limit: number, perMs: number, of: 'job' | 'key') =>
      sync(5, { rateLimit: { limit, perMs, by: of } })
    await register('v1', rated(600, 60_000, 'key'))
    await register('v2', rated(7, 1_000, 'job'))
    expect(
      await runtime.rows('select "rateLimit", "ratePerMs"::int, "rateBy" from "JobLimit"'),
    ).toEqual([{ rateLimit: 7, ratePerMs: 1_000, rateBy: 'job' }])
    await register('v3', rated(100, 1_000_000, 'key'))
    expect(
      await runtime.rows('select "rateLimit", "ratePerMs"::int, "rateBy" from "JobLimit"'),
    ).toEqual([{ rateLimit: 7, ratePerMs: 70_000, rateBy: 'job' }])
  })

  it('leave what people have set', async () => {
    await register('v1', sync(5))
    await queue.client.limits.set({ job: sync(5) }, { global: 1 }, by)
    await settle('v2', sync(9))
    expect(await queue.client.limits.list()).toMatchObject([{ global: 9, setGlobal: 1 }])
  })
})

describe('a limit that somebody sets', () => {
  const set = (global: number | null) =>
    queue.client.limits.set({ limit: { name: 'stripe' } }, { global }, by)

  it('is told with who and why, until it is set to null', async () => {
    expect(await set(3)).toBe('notFound')
    await register('v1', charge, refund)
    expect(await set(3)).toBe('set')
    expect(await set(3)).toBe('unchanged')
    const [found] = await queue.client.limits.list()
    expect(found).toMatchObject({
      name: 'stripe',
      jobs: ['charge', 'refund'],
      global: 20,
      setGlobal: 3,
      setBy: by.actor,
      setReason: by.reason,
      running: 0,
      runs: [],
    })
    expect(await set(null)).toBe('set')
    expect(await queue.client.limits.list()).toMatchObject([{ setGlobal: null, setBy: null }])
    expect(await actions()).toEqual([
      ...['charge', 'refund'].map(
        (name) =>
          `${name} setLimit ada@example.com stripe: at once 3, before: the number in the code; the partner asked`,
      ),
      ...['charge', 'refund'].map(
        (name) =>
          `${name} setLimit ada@example.com stripe: at once the number in the code, before: 3; the partner asked`,
      ),
    ])
  })

  it('is one that jobs share, and no row of a job', async () => {
    await register('v1', sync(5), paced)
    for (const name of ['job:sync', 'job:paced'])
      expect(await queue.client.limits.set({ limit: { name } }, { global: 1 }, by)).toBe('notFound')
  })

  it('is that of a job whose code has none, too, once a worker has the job', async () => {
    const free = defineJob({ name: 'free' })
    expect(await queue.client.limits.set({ job: free }, { global: 4 }, by)).toBe('notFound')
    await register('v1', free)
    expect(await queue.client.limits.set({ job: free }, { global: 4 }, by)).toBe('set')
    expect(await queue.client.limits.list()).toMatchObject([
      { name: 'free', jobs: null, global: null, setGlobal: 4 },
    ])
  })

  it('waits for the claims that have counted by the old one, and is ahead of later ones', async () => {
    await register('v1', charge, refund)
    const place = () =>
      runtime.value<string>(
        `select "changedPlace"::text as place from "JobLimit" where "name" = 'stripe'`,
      )
    const before = await place()
    await set(3)
    expect(BigInt(await place())).toBeGreaterThan(BigInt(before))
  })

  it('tells who holds its slots', async () => {
    await register('v1', charge, refund)
    const run = crypto.randomUUID()
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts", "limits", "place")
       values (gen_random_uuid(), 'charge', 'w9', '2026-11-24 09:00Z', 'infinity', array[$1::uuid], array[now()], array['job:charge', 'stripe'], 5)`,
      [run],
    )
    expect((await queue.client.limits.list())[0]).toMatchObject({
      name: 'stripe',
      running: 1,
      runs: [
        {
          runId: run,
          name: 'charge',
          key: null,
          workerId: 'w9',
          startedAt: '2026-11-24T09:00:00.000Z',
        },
      ],
    })
  })
})

describe('a job with a rate alone', () => {
  it('is listed with what runs, and until when it waits', async () => {
    await register('v1', paced)
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts", "limits", "place")
       values (gen_random_uuid(), 'paced', 'w9', now(), 'infinity', array[gen_random_uuid()], array[now()], '{job:paced}', 5)`,
    )
    await runtime.rows(
      `insert into "JobLimit" ("name", "parkedUntil") values ('job:charge', '2036-12-31Z'), ('job:paced', '2036-12-31Z')
       on conflict ("name") do update set "parkedUntil" = excluded."parkedUntil"`,
    )
    expect(await queue.client.limits.list()).toMatchObject([
      { name: 'charge', running: 0, parkedUntil: expect.stringContaining('2036') },
      { name: 'paced', running: 1, parkedUntil: expect.stringContaining('2036') },
    ])
  })
})

describe('a key', () => {
  const { enqueue, set, list } = {
    enqueue: async (...tenants: string[]) => {
      for (const tenant of tenants) await queue.client.enqueueNow(sync(5), { tenant })
    },
    set: (settings: object, key = 'a') => queue.client.keys.set(sync(5), key, settings, by),
    list: (query = {}) => queue.client.keys.list(sync(5), query),
  }

  it('is set in parts, on record, and forgotten once nothing is set', async () => {
    expect(await set({ perKey: 10 })).toBe('noKeys')
    await register('v1', sync(5))
    expect(await set({ perKey: 10 })).toBe('set')
    expect(await set({ paused: true })).toBe('set')
    expect(await set({ perKey: 10 })).toBe('unchanged')
    expect((await list()).keys).toMatchObject([
      {
        key: 'a',
        waiting: 0,
        perKey: 10,
        paused: {
          at: expect.any(String),
          by: 'ada@example.com',
          reason: 'the partner asked',
          until: null,
        },
        reason: by.reason,
      },
    ])
    expect(await set({ perKey: null, paused: false })).toBe('set')
    expect((await list()).keys).toEqual([])
    expect(await actions()).toEqual([
      'sync setKey ada@example.com a: perKey 10, before: none; the partner asked',
      'sync setKey ada@example.com a: paused until somebody resumes it, before: none; the partner asked',
      'sync setKey ada@example.com a: perKey none, before: 10, paused none, before: until somebody resumes it; the partner asked',
    ])
  })

  it('is refused what cannot be meant', async () => {
    await register(
      'v1',
      sync(5, { concurrency: undefined, partition: { key: () => 'a', order: 'fifo' } }),
    )
    for (const wrong of [{ perKey: 0 }, { perKey: 2 }])
      await expect(set(wrong)).rejects.toThrow(/^perKey /)
  })

  it('is listed with what it has: those with most that waits first', async () => {
    await register('v1', sync(5))
    await enqueue('a', 'b', 'b', 'b', '')
    await queue.client.enqueueNow(sync(5), { tenant: 'a' }, { startAfter: new Date('2099-01-01') })
    await queue.take('sync', 1)
    const { keys, total, isCut } = await list()
    expect({ total, isCut }).toEqual({ total: 3, isCut: false })
    expect(
      keys.map(({ key, waiting, delayed, running }) => [key, waiting, delayed, running]),
    ).toEqual([
      ['b', 3, 0, 0],
      ['a', 1, 1, 1],
      ['', 1, 0, 0],
    ])
    expect((await list({ limit: 1 })).keys).toMatchObject([{ key: 'b' }])
    expect(await list({ key: 'a' })).toMatchObject({ total: 1, keys: [{ key: 'a', waiting: 1 }] })
  })
})

describe('what a service has refused', () => {
  const parked = () =>
    runtime.column<string>(
      `select "name" from "JobLimit" where "parkedUntil" > now() union all select "key" from "JobKey" where "parkedUntil" > now()`,
    )

  it('keeps a limit, a job or a key waiting no longer than people say, and that is on record', async () => {
    const { limits, keys } = queue.client
    await register('v1', sync(5), charge)
    await runtime.rows(
      `update "JobLimit" set "parkedUntil" = now() + interval '1 day' where "name" <> 'job:sync'`,
    )
    await runtime.rows(
      `insert into "JobKey" ("name", "key", "parkedUntil") select 'sync', key, now() + interval '1 day' from unnest(array['acme', '']) key`,
    )
    expect(await limits.set({ limit: { name: 'stripe' } }, { parked: false }, by)).toBe('set')
    expect(await limits.set({ job: charge }, { parked: false, global: 3 }, by)).toBe('set')
    expect((await parked()).toSorted()).toEqual(['', 'acme'])
    expect(await keys.set(sync(5), 'other', { parked: false }, by)).toBe('unchanged')
    for (const key of ['acme', ''])
      expect(await keys.set(sync(5), key, { parked: false }, by)).toBe('set')
    expect(await parked()).toEqual([])
    expect(await limits.set({ job: charge }, { parked: false, global: 3 }, by)).toBe('unchanged')
    expect(await actions()).toEqual(
      [
        'charge setLimit ada@example.com stripe: parked no longer',
        'charge setLimit ada@example.com at once 3, before: the number in the code, parked no longer',
        'sync setKey ada@example.com acme: parked no longer',
        'sync setKey ada@example.com : parked no longer',
      ].map((said) => `${said}; the partner asked`),
    )
  })

  it('is nothing that people can begin', async () => {
    await register('v1', charge)
    const parkNow = { parked: true } as never
    await expect(queue.client.limits.set({ job: charge }, parkNow, by)).rejects.toThrow(
      'parked can be set to false alone: paused is what keeps work waiting',
    )
  })
})
