// Not quick: enqueues a hundred thousand pieces.
import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { checkTables } from '../../src/store/tablesState.ts'
import { installUniqueKeys } from '../../src/store/uniqueKeys.ts'
import { openClientRuntime } from '../openClientRuntime.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })
const LONG = { maxWait: 60_000, timeout: 60_000 }

let runtime: TestRuntime
let client: JobsClient

beforeAll(async () => {
  ;({ runtime, client } = await openClientRuntime([parcel]))
})

afterAll(() => runtime.close())

beforeEach(() => runtime.rows('delete from pgboss.job'))

const keyed = (uniqueKey: string) => ({ payload: {}, options: { uniqueKey } })
const count = async () => (await runtime.rows('select from pgboss.job')).length
const waiting = () =>
  runtime.rows(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
const removeIndex = () => runtime.rows('drop index pgboss.roundsman_unique_keys')
/** Inserts work as an older version may have left it: with a key that other work has. */
const insert = (keys: (string | null)[], state = 'created') =>
  runtime.rows(
    `insert into pgboss.job (name, data, singleton_key, state, created_on)
     select 'parcel', '{}', key, $2::pgboss.job_state, now() + n * interval '1 s'
     from unnest($1::text[]) with ordinality as k(key, n)`,
    [keys, state],
  )

describe('unique keys', () => {
  it('may be a hundred thousand in one transaction', { timeout: 120_000 }, async () => {
    const items = Array.from({ length: 100_000 }, (_, n) => keyed(`key ${n}`))
    const results = await runtime.prisma.$transaction(
      (tx) => client.enqueueMany(tx, parcel, items),
      LONG,
    )
    expect(results.every(({ kind }) => kind === 'enqueued')).toBe(true)
    expect(await count()).toBe(100_000)

    const again = await client.enqueueMany(runtime.prisma, parcel, items.slice(0, 20_000))
    expect(again.map(({ kind, workId }) => [kind, workId])).toEqual(
      results.slice(0, 20_000).map(({ workId }) => ['alreadyQueued', workId]),
    )
  })

  it('need no transaction of their own', async () => {
    const asked: string[] = []
    const { prisma } = runtime
    const counted = {
      $connect: () => prisma.$connect(),
      $queryRawUnsafe: (text: string, ...values: unknown[]) => {
        asked.push(text)
        return prisma.$queryRawUnsafe(text, ...values)
      },
    } as typeof prisma
    const { workId } = await client.enqueue(counted, parcel, {}, { uniqueKey: 'k' })
    expect(asked).toHaveLength(1)
    expect(await client.enqueue(counted, parcel, {}, { uniqueKey: 'k' })).toEqual({
      kind: 'alreadyQueued',
      workId,
    })
  })

  it.each(['commits', 'is rolled back'])(
    'make a later transaction wait until the earlier one %s',
    async (end) => {
      let later: Promise<{ kind: string; workId: string }> | undefined
      const earlier = runtime.prisma.$transaction(async (tx) => {
        const result = await client.enqueue(tx, parcel, {}, { uniqueKey: 'k' })
        later = client.enqueue(runtime.prisma, parcel, {}, { uniqueKey: 'k' })
        await waitFor(async () => (await waiting()).length === 1)
        if (end !== 'commits') throw new Error('changed my mind')
        return result
      }, LONG)
      const [first] = await Promise.allSettled([earlier])
      const result = await later!
      const kept = first.status === 'fulfilled' ? first.value.workId : result.workId
      const kind = first.status === 'fulfilled' ? 'alreadyQueued' : 'enqueued'
      expect(result).toEqual({ kind, workId: kept })
      expect(await count()).toBe(1)
    },
  )

  it('fail as not serializable where a snapshot cannot see their holder', async () => {
    const refused = runtime.prisma.$transaction(
      async (tx) => {
        await tx.$queryRawUnsafe('select 1')
        await client.enqueue(runtime.prisma, parcel, {}, { uniqueKey: 'k' })
        return await client.enqueue(tx, parcel, {}, { uniqueKey: 'k' })
      },
      { ...LONG, isolationLevel: 'RepeatableRead' },
    )
    await expect(refused).rejects.toThrow(/write conflict|could not serialize/)
    expect(await count()).toBe(1)

    const seen = await runtime.prisma.$transaction(
      (tx) => client.enqueue(tx, parcel, {}, { uniqueKey: 'k' }),
      { ...LONG, isolationLevel: 'Serializable' },
    )
    expect(seen.kind).toBe('alreadyQueued')
  })

  it('are found by an index, and no lock is held for them', async () => {
    await runtime.prisma.$transaction(async (tx) => {
      await client.enqueueMany(tx, parcel, [keyed('a'), keyed('b')])
      const locks = await tx.$queryRawUnsafe<{ n: number }[]>(
        `select count(*)::int as n from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'`,
      )
      expect(locks).toEqual([{ n: 0 }])
    })
  })
})

describe('the index of unique keys', () => {
  it('is missed at the start, with what to do about it', async () => {
    await removeIndex()
    const late = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
    await expect(late.start()).rejects.toMatchObject({
      name: 'TablesError',
      kind: 'older',
      what: ['roundsman_unique_keys'],
    })
    await late.stop()
    await installUniqueKeys(runtime.database)
    await checkTables(runtime.database)
  })

  it('settles what has the same key: the oldest keeps it, and no work is lost', async () => {
    await removeIndex()
    await insert(['a', 'a', 'b', null, null, 'a'])
    await insert(['a', 'b'], 'failed')
    // Two at once, and both succeed.
    await Promise.all([installUniqueKeys(runtime.database), installUniqueKeys(runtime.database)])

    expect(
      await runtime.rows(
        `select state::text, singleton_key as key, count(*)::int as n from pgboss.job group by 1, 2 order by 1, 2`,
      ),
    ).toEqual([
      { state: 'created', key: 'a', n: 1 },
      { state: 'created', key: 'b', n: 1 },
      { state: 'created', key: null, n: 4 },
      { state: 'failed', key: 'a', n: 1 },
      { state: 'failed', key: 'b', n: 1 },
    ])
    expect(
      await runtime.rows(
        `select singleton_key as key from pgboss.job where state = 'created' order by created_on limit 1`,
      ),
    ).toEqual([{ key: 'a' }])
    await expect(insert(['a'])).rejects.toMatchObject({ code: '23505' })
  })

  it(
    'is built beside transactions that are open, and nobody waits for it',
    { timeout: 30_000 },
    async () => {
      await removeIndex()
      let installed: Promise<void> | undefined
      await runtime.prisma.$transaction(async (tx) => {
        await tx.$executeRawUnsafe(`insert into pgboss.job (name, data) values ('parcel', '{}')`)
        installed = installUniqueKeys(runtime.database)
        await waitFor(async () => (await waiting()).length > 0, { timeoutMs: 20_000 })
        await client.enqueue(runtime.prisma, parcel, {})
      }, LONG)
      await installed
      await checkTables(runtime.database)
      expect(await count()).toBe(2)
    },
  )

  it('is made anew where somebody was interrupted', async () => {
    await removeIndex()
    await insert(['a', 'a'])
    const left = `create unique index concurrently roundsman_unique_keys_job_common
      on pgboss.job_common (name, singleton_key) where singleton_key is not null and state <= 'active'`
    await expect(runtime.rows(left)).rejects.toMatchObject({ code: '23505' })
    await installUniqueKeys(runtime.database)
    await checkTables(runtime.database)
  })
})
