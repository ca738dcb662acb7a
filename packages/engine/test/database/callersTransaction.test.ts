// Not quick: enqueues through many database clients.
import fc from 'fast-check'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { z } from 'zod'
import { createJobsClient, getWork } from '../../src/client.ts'
import { defineJob, type HostTransaction } from '../../src/index.ts'
import { HOSTS, type TestHost } from '../fixtures/hosts.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const any = defineJob({ name: 'any', payload: z.unknown() })
const ACTOR = { actor: 'o’hara "ops" $1 ?', reason: 'why \\ not?' }

const { runtime, client } = useClientRuntime({ cleared: ['Effect', 'JobAction'] })

beforeAll(async () => {
  await runtime.rows('create table "Effect" (n int)')
  await runtime.rows(
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt") values ('nightly', '0 3 * * *', 'UTC', now(), now())`,
  )
})

const payloads = () =>
  runtime.column<unknown>(
    `select coalesce(work."payload", long."payload") as "payload"
       from "JobWork" work left join "JobPayload" long on long."id" = work."payloadId" order by work."id"`,
  )

const AWKWARD = {
  text: `it's "quoted" ? ?? \\? \\ $1 $2::text :name {a,b} \u{1f600} Größe 日本\n\t%s`,
  snake_case: { inner_key: [null, true, 1.5, -0.1, 1e21, '2026-11-24T09:00:00.000Z', '{"a":1}'] },
}

const CLIENT_NAMES = {
  Prisma: 'a client of Prisma',
  Drizzle: 'the db of Drizzle',
  Kysely: 'an instance of Kysely',
  Knex: 'an instance of Knex',
  postgres: 'the sql of postgres.js',
  pg: 'a pool of pg',
}

describe.each(Object.entries(HOSTS))('by %s', (name, openHost) => {
  const [, clientName] = Object.entries(CLIENT_NAMES).find(([of]) => name.startsWith(of)) ?? []
  let host: TestHost
  const within = <Value>(act: (options: { tx: HostTransaction }) => Promise<Value>) =>
    host.transaction((tx) => act({ tx }))

  beforeAll(() => {
    host = openHost(runtime.url)
  })

  afterAll(() => host.close())

  it('work is there if and only if the transaction commits', async () => {
    await host.transaction(async (tx) => {
      await host.insert(tx, 1)
      await client.enqueue(tx, any, AWKWARD)
      // Nobody else sees it before the commit.
      expect(await payloads()).toEqual([])
    })
    expect(await payloads()).toEqual([AWKWARD])
    const over = host.transaction(async (tx) => {
      await host.insert(tx, 2)
      await client.enqueue(tx, any, 'never')
      throw new Error('over')
    })
    await expect(over).rejects.toThrow('over')
    expect(await payloads()).toEqual([AWKWARD])
    expect(await runtime.rows('select n from "Effect"')).toEqual([{ n: 1 }])
  })

  it('its client in the place of a transaction is refused, with what to do without one', async () => {
    const bare = host.client as HostTransaction
    const by = { key: 'a', cron: '0 * * * *', ...ACTOR }
    const refused = [
      [client.enqueue(bare, any, 1), 'call enqueueNow(job, payload) to enqueue without one'],
      [client.enqueueMany(bare, any, []), 'call enqueueManyNow(job, items) to enqueue without one'],
      [client.pauseQueue('any', ACTOR, { tx: bare }), 'leave { tx } out'],
      [client.schedules.upsert(bare, any, by), 'pass null'],
      [client.schedules.pause(bare, any, 'a', ACTOR), 'pass null'],
      [(async () => client.readerIn(bare))(), 'use client.reader'],
    ] as const
    for (const [call, otherwise] of refused) {
      const error: unknown = await call.catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'ArgumentError', argument: 'tx' })
      expect(String(error)).toContain(
        `tx is ${clientName}, which is in no transaction: pass the transaction, or ${otherwise}`,
      )
    }
    expect(await payloads()).toEqual([])
  })

  it('missing tables are told with the remedy', async () => {
    const elsewhere = createJobsClient({ databaseUrl: runtime.url, schema: 'nowhere' })
    try {
      const enqueued = host.transaction((tx) => elsewhere.enqueue(tx, any, 1))
      await expect(enqueued).rejects.toMatchObject({ name: 'TablesError', kind: 'missing' })
      await expect(enqueued).rejects.toThrow('in the schema nowhere of this database are missing')
    } finally {
      await elsewhere.stop()
    }
  })

  it('priority, start and unique keys arrive', async () => {
    const startAfter = new Date('2099-12-31T23:59:59.123Z')
    const uniqueKey = `it's {"one"}, \\ ? $1 ü`
    const options = { startAfter, priority: -7, uniqueKey }
    const [first, second, third] = await host.transaction(async (tx) => [
      await client.enqueue(tx, any, 1, options),
      await client.enqueue(tx, any, 2, { uniqueKey }),
      ...(await client.enqueueMany(tx, any, [{ payload: 3, options: { uniqueKey } }])),
    ])
    expect(first).toMatchObject({ kind: 'enqueued' })
    const held = { kind: 'alreadyQueued', workId: first?.workId }
    expect([second, third]).toEqual([held, held])
    expect(
      await runtime.rows('select "rank", "uniqueKey", "dueAt", "place" from "JobWork"'),
    ).toEqual([{ rank: 7, uniqueKey, dueAt: startAfter, place: null }])
  })

  it('what waits is replaced, and what waits and runs can be told apart', async () => {
    const uniqueKey = `it's {"one"}, \\ ? $1 ü`
    const options = { uniqueKey, onConflict: 'replace' as const, maxWaitMs: 60_000 }
    const [first, second] = await host.transaction(async (tx) => [
      await client.enqueue(tx, any, 1, options),
      await client.enqueue(tx, any, AWKWARD, {
        ...options,
        startAfter: new Date('2099-01-01T00:00:00Z'),
      }),
    ])
    expect(second).toEqual({ kind: 'replaced', workId: first?.workId })
    expect(await payloads()).toEqual([AWKWARD])
    // As a claim does.
    await runtime.rows('delete from "JobWork"')
    const third = await host.transaction((tx) => client.enqueue(tx, any, 3, options))
    expect(third).toMatchObject({ kind: 'enqueued' })
    expect(await payloads()).toEqual([3])
  })

  it('waiting work is cancelled, postponed and prioritised, and its queue paused', async () => {
    const startAfter = new Date('2099-12-31T23:59:59.123Z')
    const { workId } = await client.enqueueNow(any, AWKWARD)
    const which = { job: any, ids: [workId] }
    const once = { done: 1, left: 0 }
    const later = { ...ACTOR, startAfter }
    expect(await within((tx) => client.postponeWork(which, later, tx))).toEqual(once)
    const sooner = { ...ACTOR, priority: -7 }
    expect(await within((tx) => client.prioritiseWork(which, sooner, tx))).toEqual(once)
    expect(await getWork(client.reader, any, workId)).toEqual({
      kind: 'waiting',
      startAfter: startAfter.toISOString(),
    })
    const all = { job: any, all: true } as const
    expect(await within((tx) => client.cancelWork(all, ACTOR, tx))).toEqual(once)
    expect(await within((tx) => client.pauseQueue('any', ACTOR, tx))).toBe('paused')
    expect(await within((tx) => client.resumeQueue('any', ACTOR, tx))).toBe('resumed')
    const actions = ['cancelWork', 'pauseQueue', 'postponeWork', 'prioritiseWork', 'resumeQueue']
    expect(
      await runtime.rows('select "action"::text, "actor", "reason" from "JobAction" order by 1'),
    ).toEqual(actions.map((action) => ({ action, ...ACTOR })))
  })

  it('many pieces are one statement', async () => {
    const items = Array.from({ length: 1_000 }, (_, n) => ({ payload: { n, ...AWKWARD } }))
    const results = await host.transaction((tx) => client.enqueueMany(tx, any, items))
    expect(new Set(results.map(({ workId }) => workId)).size).toBe(1_000)
    expect(await payloads()).toEqual(items.map(({ payload }) => payload))
  })

  it('what people do is recorded with it', async () => {
    const id = await within((tx) => client.requestRun(any, { ...ACTOR, payload: AWKWARD }, tx))
    expect(await within((tx) => client.pauseSchedule('nightly', ACTOR, tx))).toBe('paused')
    expect(await within((tx) => client.pauseSchedule('nightly', ACTOR, tx))).toBe('alreadyPaused')
    expect(await within((tx) => client.resumeSchedule('nightly', ACTOR, tx))).toBe('resumed')
    expect(await within((tx) => client.pauseSchedule('nobody', ACTOR, tx))).toBe('notScheduled')
    const discard = within((tx) => client.discardDeadLetters({ ids: [id] }, ACTOR, tx))
    expect(await discard).toMatchObject({ discarded: 0 })
    expect(await within((tx) => client.cancelRun(id, ACTOR, tx))).toBe('notFound')
    const over = host.transaction(async (tx) => {
      await client.pauseSchedule('nightly', ACTOR, { tx })
      throw new Error('over')
    })
    await expect(over).rejects.toThrow('over')
    const actions = ['pause', 'resume', 'run']
    expect(
      await runtime.rows('select "action"::text, "actor", "reason" from "JobAction" order by 1'),
    ).toEqual(actions.map((action) => ({ action, ...ACTOR })))
  })

  it('is refused in another place, so that nothing commits beside it', async () => {
    await host.transaction(async (tx) => {
      for (const options of [tx, host.client]) {
        const act = client.pauseQueue('any', ACTOR, options as never)
        await expect(act).rejects.toThrow('pass the transaction as { tx }')
      }
      const act = client.pauseQueue('any', { ...ACTOR, tx } as never)
      await expect(act).rejects.toThrow('as { tx }')
    })
    expect(await runtime.rows('select from "JobAction"')).toEqual([])
  })

  it('schedules that are data are kept with it', async () => {
    const { schedules } = client
    await runtime.clear('JobTick', 'JobAction')
    await runtime.rows(`delete from "JobSchedule" where "key" <> ''`)
    const entry = (key: string, cron: string) => ({
      ...{ key, cron, overlap: 'allow' as const, payload: AWKWARD },
      ...{ startsAt: new Date('2020-01-01T00:00:00Z'), ...ACTOR },
    })
    await host
      .transaction(async (tx) => {
        await schedules.upsert(tx, any, entry('a', '0 * * * *'))
        throw new Error('over')
      })
      .catch(() => undefined)
    await runtime.rows('alter sequence "JobKeyedVersion" restart')
    const both = [entry('b', '0 * * * *'), entry('a', '0 * * * *')]
    const made = await host.transaction((tx) => schedules.upsertMany(tx, any, both))
    expect(made.map(({ kind, version }) => [kind, version])).toEqual([
      ['created', 1],
      ['created', 1],
    ])
    await runtime.rows(
      `update "JobSchedule" set "cursor" = "cursor" - interval '2 hours', "nextAt" = "nextAt" - interval '2 hours'`,
    )
    const half = entry('a', '30 * * * *')
    const changed = await host.transaction((tx) => schedules.upsert(tx, any, half))
    expect(changed).toMatchObject({ kind: 'changed', version: 2, nextAt: expect.any(Date) })
    expect(await host.transaction((tx) => schedules.pause(tx, any, 'a', ACTOR))).toBe('paused')
    expect(await host.transaction((tx) => schedules.resume(tx, any, 'a', ACTOR))).toBe('resumed')
    await host.transaction((tx) => schedules.trigger(tx, any, 'b', ACTOR))
    const range = { from: new Date(Date.now() - 86_400_000), to: new Date(), ...ACTOR }
    expect(await host.transaction((tx) => schedules.backfill(tx, any, 'b', range))).toMatchObject({
      kind: 'backfilled',
      kept: 0,
    })
    for (const key of ['b', 'a'])
      expect(await host.transaction((tx) => schedules.delete(tx, any, key, ACTOR))).toBe('deleted')
    const [count] = await runtime.rows<{ ticks: number; work: number; same: number }>(
      `select (select count(*) from "JobTick" where "outcome" = 'enqueued')::int as ticks,
         (select count(*) from "JobWork" where "facts" ->> 'trigger' = 'schedule')::int as work,
         (select count(*) from "JobWork" where "payload" = $1::jsonb)::int as same`,
      [JSON.stringify(AWKWARD)],
    )
    const ticks = count?.ticks ?? 0
    expect(ticks).toBeGreaterThan(2)
    expect(count).toEqual({ ticks, work: ticks, same: ticks + 1 })
  })

  it('dead letters go back with what was in them', async () => {
    const [id] = await Promise.all([fail({ keep_me: AWKWARD }), fail({ n: 2 })])
    const outcome = await host.transaction((tx) =>
      client.redriveDeadLetters({ ids: [id] }, ACTOR, { tx }),
    )
    expect(outcome).toMatchObject({ redriven: 1, alreadyQueued: 0 })
    const rest = await client.redriveDeadLetters('all', ACTOR)
    expect(rest).toMatchObject({ redriven: 1 })
    expect(await runtime.rows('select from "JobWork"')).toHaveLength(2)
  })

  it('a run that its guard blocked is made up for with its payload', async () => {
    const payload = { keep_me: AWKWARD }
    const workId = await fail(payload)
    const [run] = await runtime.rows<{ id: string }>(
      `insert into "JobRun" ("id", "name", "trigger", "attempt", "startedAt", "endedAt", "dryRun", "workId", "workerId",
                             "status", "errorCode", "details")
       values (gen_random_uuid(), 'any', 'queue', 1, now(), now(), false, $1, 'w', 'failed', 'guard_blocked', $2)
       returning "id"`,
      [workId, { guard: { due: 12 }, error: { code: 'guard_blocked', message: '' } }],
    )
    const approved = await host.transaction((tx) => client.approveRun(run!.id, ACTOR, { tx }))
    expect(approved).toMatchObject({ kind: 'approved', rows: 12 })
    const again = await client.approveRun(run!.id, ACTOR)
    expect(again).toEqual({ kind: 'alreadyApproved' })
    // What it was made up for is gone: both are not to be done.
    expect(await payloads()).toEqual([payload])
  })

  it('what it reads in a transaction is what that has written, instants as ISO 8601', async () => {
    await host.transaction(async (tx) => {
      const { workId } = await client.enqueue(tx, any, 1)
      expect(await getWork(client.readerIn(tx), any, workId)).not.toBeNull()
      const text = `select '2026-11-24 09:00:00.12+00'::timestamptz as "at", $1::int as "n"`
      expect(await client.readerIn(tx).rows({ text, values: [7] })).toEqual([
        { at: '2026-11-24T09:00:00.120Z', n: 7 },
      ])
    })
  })

  it('any payload arrives as it is', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    const value = fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })
    const drawn = fc.dictionary(text, value, { maxKeys: 5 }).filter(isStorable)
    await fc.assert(
      fc.asyncProperty(fc.array(drawn, { minLength: 1, maxLength: 5 }), async (all) => {
        await runtime.clear()
        const items = all.map((payload) => ({ payload }))
        await host.transaction((tx) => client.enqueueMany(tx, any, items))
        expect(await payloads()).toEqual(JSON.parse(JSON.stringify(all)))
      }),
      { numRuns: 25 },
    )
  })
})

function isStorable(value: unknown): boolean {
  const text = JSON.stringify(value)
  return !text.includes('\\u0000') && !text.includes('__proto__')
}

async function fail(payload: unknown): Promise<string> {
  const { workId } = await client.enqueueNow(any, payload)
  await runtime.rows(
    `with work as (delete from "JobWork" where "id" = $1 returning *)
     insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
     select "id", "name", 3, "bytes", "payload", 'broken', '' from work`,
    [workId],
  )
  return workId
}

it('of an extended client of Prisma, the transaction is taken and the client refused', async () => {
  const extended = runtime.prisma.$extends({ name: 'any', client: { $greet: () => 'hello' } })
  await extended.$transaction((tx) => client.enqueue(tx, any, 1))
  expect(await payloads()).toEqual([1])
  // @ts-expect-error -- it is in no transaction
  const refused = client.enqueue(extended, any, 2)
  await expect(refused).rejects.toThrow('tx is a client of Prisma, which is in no transaction')
})

it('a transaction of Kysely that the program itself ends is taken', async () => {
  const pool = new pg.Pool({ connectionString: runtime.url })
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const tx = await kysely.startTransaction().execute()
  await client.enqueue(tx, any, 1)
  expect(await payloads()).toEqual([])
  await tx.commit().execute()
  expect(await payloads()).toEqual([1])
  await kysely.destroy()
})

describe('a connection of pg', () => {
  it('is refused in no transaction, unless a query of it is under way', async () => {
    const connection = new pg.Client({ connectionString: runtime.url })
    await connection.connect()
    try {
      const enqueue = () => client.enqueue(connection, any, 1)
      const refusal = 'tx is a connection of pg, which is in no transaction'
      await expect(enqueue()).rejects.toThrow(refusal)
      const begun = connection.query('begin')
      await enqueue()
      await begun
      await enqueue()
      await connection.query('rollback')
      await expect(enqueue()).rejects.toThrow(refusal)
      expect(await payloads()).toEqual([])
    } finally {
      await connection.end()
    }
  })

  it('is taken as it is where pg is too old to say whether it is in a transaction', async () => {
    const connection = new pg.Client({ connectionString: runtime.url })
    Object.assign(connection, { getTransactionStatus: undefined })
    await connection.connect()
    try {
      await client.enqueue(connection, any, 1)
      expect(await payloads()).toEqual([1])
    } finally {
      await connection.end()
    }
  })
})

test.each([
  [undefined, 'undefined is no client'],
  [null, 'null is no client'],
  ['postgres://localhost', 'is no client'],
  [42, '42 is no client'],
  [{ query: () => undefined, manager: {} }, 'An object of Object with { query, manager } is no'],
  [
    new (class DataSource {
      options = {}
    })(),
    'An object of DataSource with { options } is no client',
  ],
  [() => undefined, 'is no client'],
  [Object.create(null), 'An object of no class with {  } is no client'],
  [{ execute: () => undefined, transaction: () => undefined, session: null }, 'is no client'],
])('what is no transaction is refused before anything is sent: %o', async (given, message) => {
  const refused = client.enqueue(given as never, any, {})
  await expect(refused).rejects.toThrow(TypeError)
  await expect(refused).rejects.toThrow(message)
  await expect(client.enqueueMany(given as never, any, [])).rejects.toThrow('Kysely, Knex, pg')
})
