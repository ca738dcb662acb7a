// Not quick: lets changes meet in many orders.
import { openForTests, waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import type { AfterFailure } from '../../src/run/afterFailure.ts'
import { freeUniqueKeys } from '../../src/queue/uniqueKeys.ts'
import { tryUntilFree } from '../../src/database/waitForLocks.ts'
import { openTestQueue, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ n: z.number(), text: z.string().optional() }),
  retry: { limit: 2 },
})
const LONG = { maxWait: 60_000, timeout: 60_000 }

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [parcel], () => (wakeUps += 1)))
let wakeUps = 0

const enqueue = (n: number, options?: EnqueueOptions) =>
  opened.client.enqueueNow(parcel, { n }, options)
const numbersOf = (work: readonly TestWork[]) =>
  work.map(({ payload }) => (payload as { n: number }).n)
const take = async (limit = 100) => await opened.take('parcel', limit)
const fail = (work: readonly TestWork[], next: AfterFailure = 'redeliver') =>
  opened.fail(work, { code: 'broken', message: '' }, next)
/** All work that waits, runs or was given up, by the number of its payload. */
const states = () =>
  runtime.column<string>(
    `select state || ' ' || (coalesce(work.payload, long."payload") ->> 'n') as state from (
         select 'waiting' as state, "payloadId", "payload" as payload from "JobWork"
         union all select 'dead', "payloadId", "payload" from "JobDeadLetter"
         union all select 'running', held."payloadId", held.payload
           from "JobClaim" claim, unnest("runIds", "payloads", "payloadIds") as held(run, payload, "payloadId")
           where not exists (select from "JobRun" run where run."id" = held.run)
       ) work left join "JobPayload" long on long."id" = work."payloadId"
       order by (coalesce(work.payload, long."payload") ->> 'n')::int`,
  )
const keys = () =>
  runtime.rows<{ key: string; workId: string }>(
    'select "key", "workId"::text as "workId" from "JobUnique" order by "key"',
  )

describe('work that replaces what waits with its unique key', () => {
  const replace = (n: number, options: EnqueueOptions = {}) =>
    enqueue(n, { uniqueKey: 'k', onConflict: 'replace', ...options })

  it('has its own payload, priority, start and expiry, under the id that was there', async () => {
    const first = await replace(1, { priority: 9, expiresAt: new Date('2099-01-01T00:00:00Z') })
    expect(first.kind).toBe('enqueued')
    const startAfter = new Date('2098-01-01T00:00:00Z')
    expect(await replace(2, { priority: 3, startAfter })).toEqual({ ...first, kind: 'replaced' })
    expect(
      await runtime.rows(
        `select "id"::text as "id", "payload", "facts", "rank", "dueAt", "place", "uniqueKey" from "JobWork"`,
      ),
    ).toEqual([
      {
        id: first.workId,
        payload: { n: 2 },
        facts: null,
        rank: -3,
        dueAt: startAfter,
        place: null,
        uniqueKey: 'k',
      },
    ])
    expect(await enqueue(3, { uniqueKey: 'k' })).toEqual({ ...first, kind: 'alreadyQueued' })
    expect(await states()).toEqual(['waiting 2'])
    expect(await keys()).toEqual([{ key: 'k', workId: first.workId }])
  })

  it('is put off for so long at most, from when the first of them was enqueued', async () => {
    const late = { startAfter: new Date('2099-01-01T00:00:00Z'), maxWaitMs: 60_000 }
    await replace(1, late)
    const dueAfter = () =>
      runtime.value<number>(
        'select extract(epoch from "dueAt" - "enqueuedAt")::float8 * 1000 as ms from "JobWork"',
      )
    expect(await dueAfter()).toBe(60_000)
    await runtime.rows(`update "JobWork" set "enqueuedAt" = "enqueuedAt" - interval '50 seconds'`)
    await replace(2, late)
    expect(await dueAfter()).toBe(60_000)
    await runtime.rows(`update "JobWork" set "enqueuedAt" = "enqueuedAt" - interval '10 seconds'`)
    const before = wakeUps
    await replace(3, late)
    // It is due now, and workers are told.
    await waitFor(() => wakeUps > before)
    expect(numbersOf(await take())).toEqual([3])
  })

  it('is enqueued with the key where what has it runs, and that is not started again', async () => {
    await replace(1)
    const [running] = await take()
    const second = await replace(2)
    expect(second.kind).toBe('enqueued')
    expect(await replace(3)).toEqual({ ...second, kind: 'replaced' })
    await fail([running!])
    expect(await states()).toEqual(['waiting 3'])
    expect(numbersOf(await take())).toEqual([3])
  })

  it('is started instead of what goes back to wait in the same moment', async () => {
    await replace(1)
    const [running] = await take()
    await runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, { n: 2 }, { uniqueKey: 'k', onConflict: 'replace' })
      // It waits for nobody, and cannot see what is not committed.
      await fail([running!])
    }, LONG)
    expect(await states()).toEqual(['waiting 1', 'waiting 2'])
    const told = (work: readonly TestWork[]) =>
      work.map((one) => [...numbersOf([one]), one.isReplaced])
    const newer = await take(1)
    expect(told(newer)).toEqual([[2, false]])
    // Its key is free then.
    await opened.complete(newer)
    expect(told(await take())).toEqual([[1, true]])
  })

  it('leaves no dead letter of what ran meanwhile: redriven, it would undo the newer', async () => {
    await replace(1)
    const [running] = await take()
    await replace(2)
    await fail([running!], 'giveUp')
    expect(await states()).toEqual(['waiting 2'])
  })

  it('leaves a dead letter as it is', async () => {
    await replace(1)
    await fail(await take(), 'giveUp')
    await replace(2)
    expect(await states()).toEqual(['dead 1', 'waiting 2'])
  })

  it('takes the place of what is to be retried, with all attempts anew', async () => {
    const first = await replace(1)
    await fail(await take(), 'lost')
    await fail(await take(), 'retry')
    expect(await replace(2)).toEqual({ ...first, kind: 'replaced' })
    const [work] = await take()
    expect(work).toMatchObject({ workId: first.workId, attempt: 3, failures: 0, losses: 0 })
    expect(work).toMatchObject({ payload: { n: 2 }, label: null })
    expect(work?.facts).toEqual({ attemptsBefore: 2 })
    expect(await runtime.rows('select from "JobClaim" where "losses" is not null')).toEqual([])
  })

  it('keeps its turn among what is due, unless it gets another priority', async () => {
    await replace(1)
    await enqueue(2)
    await replace(3)
    expect(numbersOf(await take())).toEqual([3, 2])

    await replace(4)
    await enqueue(5, { priority: 1 })
    await enqueue(6, { priority: 1 })
    await replace(7, { priority: 1 })
    expect(numbersOf(await take())).toEqual([5, 6, 7])
  })

  it('is the last of those that one call has, and each is told what became of it', async () => {
    const item = (n: number, options?: EnqueueOptions) => ({ payload: { n }, options })
    const keyed = { uniqueKey: 'k', onConflict: 'replace' } as const
    const many = () =>
      opened.client.enqueueManyNow(parcel, [
        item(1, { uniqueKey: 'k' }),
        item(2, keyed),
        item(3),
        item(4, keyed),
        item(5, { uniqueKey: 'k' }),
        item(6, { ...keyed, uniqueKey: 'other' }),
      ] as never)
    const kinds = async () => {
      const results = await many()
      const ids = new Set(results.map(({ workId }) => workId))
      return [...results.map(({ kind }) => kind), ids.size]
    }
    const kept = 'alreadyQueued'
    expect(await kinds()).toEqual([
      'enqueued',
      'replaced',
      'enqueued',
      'replaced',
      kept,
      'enqueued',
      3,
    ])
    expect(await states()).toEqual(['waiting 3', 'waiting 4', 'waiting 6'])
    expect(await kinds()).toEqual([kept, 'replaced', 'enqueued', 'replaced', kept, 'replaced', 3])
    await take()
    // The first result names the work that runs, the others the new work that took its key.
    expect(await kinds()).toEqual([kept, 'enqueued', 'enqueued', 'replaced', kept, 'enqueued', 4])
  })

  it('leaves that of another key as it is, beside which it is enqueued', async () => {
    await enqueue(1, { uniqueKey: 'kept', priority: 1 })
    const results = await opened.client.enqueueManyNow(parcel, [
      { payload: { n: 2 }, options: { uniqueKey: 'kept' } },
      { payload: { n: 3 }, options: { uniqueKey: 'k', onConflict: 'replace' } },
    ])
    expect(results.map(({ kind }) => kind)).toEqual(['alreadyQueued', 'enqueued'])
    expect(await states()).toEqual(['waiting 1', 'waiting 3'])
    // Work that runs keeps its key, too.
    await take(1)
    await opened.client.enqueueManyNow(parcel, [
      { payload: { n: 4 }, options: { uniqueKey: 'kept' } },
      { payload: { n: 5 }, options: { uniqueKey: 'k', onConflict: 'replace' } },
    ])
    expect(await states()).toEqual(['running 1', 'waiting 5'])
  })

  it('is never there where its transaction does not commit', async () => {
    await replace(1)
    const over = runtime.prisma.$transaction(async (tx) => {
      await opened.client.enqueue(tx, parcel, { n: 2 }, { uniqueKey: 'k', onConflict: 'replace' })
      // Nobody takes work that an open transaction may replace.
      expect(await take()).toEqual([])
      throw new Error('over')
    }, LONG)
    await expect(over).rejects.toThrow('over')
    expect(numbersOf(await take())).toEqual([1])
  })

  it.each([
    [{ onConflict: 'replace' }, 'onConflict needs a uniqueKey'],
    [{ uniqueKey: 'k', maxWaitMs: 5 }, "maxWaitMs needs onConflict: 'replace'"],
    [
      { expiresAt: new Date(5), startAfter: new Date(5) },
      'expiresAt must be later than startAfter',
    ],
  ])('is refused as %o', async (options, message) => {
    await expect(enqueue(1, options as never)).rejects.toThrow(message)
    expect(await states()).toEqual([])
  })

  /**
   * What may happen, in any order: enqueueing, taking, and how a run ends. `n` is the number of the piece. A replaced piece
   * must never start.
   */
  const step = fc.array(
    fc.constantFrom<'enqueue' | 'enqueueInTransaction' | 'take' | 'complete' | 'fail'>(
      'enqueue',
      'enqueue',
      'enqueueInTransaction',
      'take',
      'complete',
      'fail',
    ),
    { minLength: 1, maxLength: 6 },
  )

  it('is not lost, however enqueueing, taking and ending meet', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
        await runtime.clear()
        let next = 0
        let isFirst = true
        let last: number[] = []
        // Pieces that start in the same moment have no order.
        let moment = 0
        const started: { n: number; at: number }[] = []
        const running: TestWork[] = []
        const begin = async () => {
          for (const work of await take(1)) {
            if (work.isReplaced) {
              await tryUntilFree(() => fail([work], 'drop'))
              continue
            }
            started.push(...numbersOf([work]).map((n) => ({ n, at: moment })))
            running.push(work)
          }
        }
        const act = {
          enqueue: async (n: number) => void (await replace(n)),
          enqueueInTransaction: async (n: number) => {
            await runtime.prisma.$transaction(async (tx) => {
              const options = { uniqueKey: 'k', onConflict: 'replace' } as const
              await opened.client.enqueue(tx, parcel, { n }, options)
              await tx.$queryRaw`select pg_sleep(0.002)::text`
            }, LONG)
          },
          take: begin,
          complete: async () => {
            const work = running.shift()
            // As the settler does: an end that meets a lock gives way, and is tried again.
            if (work) await tryUntilFree(() => opened.complete([work]))
          },
          fail: async () => {
            const work = running.shift()
            if (work) await tryUntilFree(() => fail([work]))
          },
        }
        for (const together of steps) {
          const enqueued: number[] = []
          moment++
          await Promise.all(
            together.map(async (kind) => {
              if (!kind.startsWith('enqueue')) return await act[kind](0)
              const n = next++
              enqueued.push(n)
              await act[kind](n)
            }),
          )
          if (enqueued.length > 0) last = enqueued
          isFirst &&= enqueued.length === 0
          const holders = await runtime.rows(
            `select from "JobWork" join "JobUnique" one on one."workId" = "JobWork"."id"`,
          )
          expect(holders.length).toBeLessThanOrEqual(1)
        }
        const left = async () => (await states()).length
        for (let rounds = 0; rounds < 40 && (await left()) > 0; rounds++) {
          moment++
          await begin()
          while (running.length > 0) await act.complete()
        }
        expect(await left()).toBe(0)
        // What was enqueued last was started last.
        const latestAt = Math.max(...started.map(({ at }) => at))
        const latest = started.filter(({ at }) => at === latestAt).map(({ n }) => n)
        expect(isFirst || latest.some((n) => last.includes(n))).toBe(true)
        // An end that met a lock has left its key to a round.
        await freeUniqueKeys(runtime.database, null)
        expect(await keys()).toEqual([])
      }),
      { numRuns: 25, endOnFailure: true },
    )
  })
})
