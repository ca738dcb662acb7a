// Not quick: enqueues tens of thousands of pieces.
import { openForTests, waitFor } from '@roundsman/testing'
import { beforeAll, describe, expect, it } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import type { AfterFailure } from '../../src/run/afterFailure.ts'
import { enqueueOne } from '../../src/queue/enqueueWork.ts'
import { freeUniqueKeys, type KeyPosition } from '../../src/queue/uniqueKeys.ts'
import { openTestQueue, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { interceptQueries } from '../interceptQueries.ts'
import { recordStatements } from '../recordStatements.ts'

const parcel = defineJob({ name: 'parcel' })
const LONG = { maxWait: 60_000, timeout: 60_000 }

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))
let client: JobsClient
beforeAll(() => void ({ client } = opened))

const keyed = (uniqueKey: string) => ({ payload: {}, options: { uniqueKey } })
const count = async () => (await runtime.rows('select from "JobWork"')).length
const keys = () => runtime.column<string>('select "key" from "JobUnique" order by "key"')
const fail = (work: readonly TestWork[], next: AfterFailure = 'redeliver') =>
  opened.fail(work, { code: 'broken', message: '' }, next)
const free = (after: KeyPosition | null = null) => freeUniqueKeys(runtime.database, after)

describe('unique keys', () => {
  it(
    'may be far more in one transaction than it can have locks',
    { timeout: 120_000 },
    async () => {
      const [locks] = await runtime.rows<{ most: number }>(
        `select current_setting('max_connections')::int * current_setting('max_locks_per_transaction')::int as most`,
      )
      const items = Array.from({ length: 2 * locks!.most }, (_, n) => keyed(`key ${n}`))
      const results = await runtime.prisma.$transaction(
        (tx) => client.enqueueMany(tx, parcel, items),
        LONG,
      )
      expect(results.every(({ kind }) => kind === 'enqueued')).toBe(true)
      expect(await count()).toBe(items.length)

      const again = await client.enqueueManyNow(parcel, items.slice(0, 5_000))
      expect(again.map(({ kind, workId }) => [kind, workId])).toEqual(
        results.slice(0, 5_000).map(({ workId }) => ['alreadyQueued', workId]),
      )
    },
  )

  it('need no transaction of their own, and one statement', async () => {
    const recorded = recordStatements(runtime.database)
    const { asked } = recorded
    const sender = { waker: { wake: () => undefined }, log: runtime.log }
    const enqueue = (options: EnqueueOptions) => {
      const work = { envelope: { payload: {}, trigger: 'queue' as const }, options }
      return enqueueOne(sender, recorded, parcel, work)
    }
    const { workId } = await enqueue({ uniqueKey: 'k' })
    expect(asked).toHaveLength(1)
    const options: EnqueueOptions[] = [{}, { onConflict: 'replace' }]
    for (const [index, more] of options.entries()) {
      expect(await enqueue({ uniqueKey: 'k', ...more })).toEqual({
        kind: index === 0 ? 'alreadyQueued' : 'replaced',
        workId,
      })
      expect(asked).toHaveLength(2 + index)
    }
  })

  it.each(['commits', 'is rolled back'])(
    'make a later transaction wait until the earlier one %s',
    async (end) => {
      let later: Promise<{ kind: string; workId: string }> | undefined
      const earlier = runtime.prisma.$transaction(async (tx) => {
        const result = await client.enqueue(tx, parcel, {}, { uniqueKey: 'k' })
        later = client.enqueueNow(parcel, {}, { uniqueKey: 'k' })
        await waitFor(async () => (await countLockWaits(runtime)) === 1)
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
    for (const onConflict of ['keep', 'replace'] as const) {
      const refused = runtime.prisma.$transaction(
        async (tx) => {
          await tx.$queryRawUnsafe('select 1')
          await client.enqueueNow(parcel, {}, { uniqueKey: onConflict })
          return await client.enqueue(tx, parcel, {}, { uniqueKey: onConflict, onConflict })
        },
        { ...LONG, isolationLevel: 'RepeatableRead' },
      )
      await expect(refused).rejects.toThrow(/write conflict|could not serialize/)
    }
    expect(await count()).toBe(2)

    const seen = await runtime.prisma.$transaction(
      (tx) => client.enqueue(tx, parcel, {}, { uniqueKey: 'keep' }),
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

describe('freeing unique keys', () => {
  it('frees those whose work is nowhere, and no other', async () => {
    await client.enqueueNow(parcel, {}, { uniqueKey: 'runs' })
    const [work] = await opened.take('parcel')
    await client.enqueueNow(parcel, {}, { uniqueKey: 'is retried' })
    await fail(await opened.take('parcel'))
    await opened.take('parcel')
    const startAfter = new Date('2099-01-01T00:00:00Z')
    await client.enqueueNow(parcel, {}, { uniqueKey: 'waits', startAfter })
    await runtime.rows(
      `insert into "JobUnique" select 'parcel', 'gone ' || n, gen_random_uuid() from generate_series(1, 3) n`,
    )
    expect(await free()).toBeNull()
    expect(await keys()).toEqual(['is retried', 'runs', 'waits'])
    await opened.complete([work!])
    expect(await keys()).toEqual(['is retried', 'waits'])
  })

  it('are no hindrance where their work is nowhere, also in a transaction', async () => {
    const left = (key: string) =>
      runtime.rows(`insert into "JobUnique" values ('parcel', $1, gen_random_uuid())`, [key])
    await left('one')
    await left('two')
    const one = await client.enqueueNow(parcel, {}, { uniqueKey: 'one' })
    const items = [keyed('two'), keyed('one'), keyed('three')]
    const many = await runtime.prisma.$transaction((tx) => client.enqueueMany(tx, parcel, items))
    expect([one, ...many].map(({ kind }) => kind)).toEqual([
      'enqueued',
      'enqueued',
      'alreadyQueued',
      'enqueued',
    ])
    expect([await keys(), await count()]).toEqual([['one', 'three', 'two'], 3])

    // Nor where its claim still lists the run, which has ended beside somebody who held the key.
    const work = await opened.take('parcel')
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobUnique" where "key" = 'one' for update`)
      for (const { claim } of work) claim.open.add('another run')
      await opened.complete(work)
    })
    expect(await keys()).toEqual(['one'])
    const again = await client.enqueueNow(parcel, {}, { uniqueKey: 'one' })
    expect(again.kind).toBe('enqueued')
  })

  it('goes on where it has stopped', async () => {
    await runtime.rows(
      `insert into "JobUnique" select 'parcel', n::text, gen_random_uuid() from generate_series(10000, 11500) n`,
    )
    const next = await free()
    expect([next, (await keys())[0]]).toEqual([{ name: 'parcel', key: '10999' }, '11000'])
    expect([await free(next), await keys()]).toEqual([null, []])
  })

  it('passes over what somebody has locked', async () => {
    await runtime.rows(`insert into "JobUnique" values ('parcel', 'k', gen_random_uuid())`)
    await runtime.prisma.$transaction(async (tx) => {
      await client.enqueue(tx, parcel, {}, { uniqueKey: 'k', onConflict: 'replace' })
      await free()
      expect(await keys()).toEqual(['k'])
    }, LONG)
    await free()
    expect([await keys(), await count()]).toEqual([['k'], 1])
  })

  it.each(['look', 'lock'])('keeps the key of work that came back after its %s', async (when) => {
    await runtime.rows(`insert into "JobUnique" values ('parcel', 'k', gen_random_uuid())`)
    const comeBack = () =>
      runtime.rows(`insert into "JobWork" ("id", "name", "bytes", "uniqueKey", "payload")
        select "workId", "name", 2, "key", '{}' from "JobUnique" on conflict do nothing`)
    await freeUniqueKeys(
      {
        ...runtime.database,
        transaction: async (work) =>
          await runtime.database.transaction(async (tx) => {
            if (when === 'look') await comeBack()
            const locking = interceptQueries({ ...runtime.database, ...tx }, async (carryOut) => {
              const answer = await carryOut()
              await comeBack()
              return answer
            })
            return await work(locking)
          }),
      },
      null,
    )
    expect(await keys()).toEqual(['k'])
  })
})
