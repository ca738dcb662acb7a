// Not quick: changes ten thousand pieces, and lets changes meet in many orders.
import { openForTests, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { countWaitingWork, sumWaitingWork, readPausedQueues } from '../../src/internal.ts'
import { getWork, listWaitingWork, type PagePosition } from '../../src/client.ts'
import { defineJob, type EnqueueOptions } from '../../src/index.ts'
import { readRound } from '../../src/worker/rounds.ts'
import { claimWork } from '../../src/queue/claimWork.ts'
import { hasNotEnded } from '../../src/queue/heldRuns.ts'
import { openTestQueue, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { claimRequest } from '../claimRequest.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.strictObject({ n: z.number() }),
  retry: { limit: 2 },
})
const other = defineJob({ name: 'other' })
const by = { actor: 'admin@example.com', reason: 'because of the test' }
const LONG = { maxWait: 60_000, timeout: 60_000 }

const runtime = useTestRuntime({ cleared: ['JobAction', 'JobQueue'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel, other], () => (wakeUps += 1)))
let wakeUps = 0

const enqueue = (n: number, options?: EnqueueOptions) =>
  opened.client.enqueueNow(parcel, { n }, options)
const numbersOf = (work: readonly TestWork[]) =>
  work.map(({ payload }) => (payload as { n: number }).n)
const take = async (limit = 100) => await opened.take('parcel', limit)
const states = () =>
  runtime.column<string>(
    `select state || ' ' || (payload ->> 'n') as state from (
         select case when "attempt" = 1 then 'created' else 'retry' end as state, "payload" as payload from "JobWork" where "name" = 'parcel'
         union all
         select 'active', held.payload from "JobClaim" claim cross join unnest(claim."runIds", claim."payloads") held(id, payload)
         where claim."name" = 'parcel' and ${hasNotEnded('held.id')}
       ) work order by (payload ->> 'n')::int`,
  )
const actions = () =>
  runtime.rows<{ action: string; workId: string | null }>(
    `select "action", "workId"::text as "workId" from "JobAction" where "actor" = $1 and "reason" = $2`,
    [by.actor, by.reason],
  )

/** Has attempts fail, so that their work is due again at once. */
async function fail(work: readonly TestWork[]): Promise<void> {
  await opened.fail(work, { code: 'broken', message: '' }, 'retry')
  await runtime.rows(
    `update "JobWork" set "dueAt" = now() - interval '1 second' where "place" is null and "attempt" > 1`,
  )
}

describe('a queue that is paused', () => {
  it('is not taken from, retries included, by whichever statement, while runs go on', async () => {
    for (const n of [1, 2, 3]) await enqueue(n)
    await opened.client.enqueueNow(other, {})
    const [running] = await take(1)
    await fail(await take(1))
    const { client } = opened
    expect(await client.pauseQueue('parcel', by)).toBe('paused')
    expect(await client.pauseQueue('parcel', by)).toBe('alreadyPaused')

    expect(await take()).toEqual([])
    const requests = ['parcel', 'other'].map((name) => claimRequest(name))
    const claim = (some: typeof requests, suspects?: { isAlone: boolean }) =>
      claimWork(runtime.database, {
        workerId: 'w1',
        requests: some,
        startedAt: new Date(),
        suspects,
      })
    const ready = async () =>
      (await readRound(runtime.database, 'w1', [{ name: 'parcel', behind: [] }], [])).ready
    await runtime.rows(
      `update "JobWork" set "losses" = 2 where "name" = 'parcel' and "attempt" = 2`,
    )
    expect((await claim(requests.slice(0, 1))).work).toEqual([])
    expect((await claim(requests.slice(0, 1), { isAlone: true })).work).toEqual([])
    await runtime.rows('update "JobWork" set "losses" = 0')
    expect((await claim(requests)).work.map(({ name }) => name)).toEqual(['other'])
    expect(await ready()).toEqual([])
    await opened.complete([running!])
    expect(await states()).toEqual(['retry 2', 'created 3'])

    const paused = { name: 'parcel', pausedBy: by.actor, pauseReason: by.reason }
    expect((await readPausedQueues(runtime.reader)).get('parcel')).toMatchObject(paused)
    expect(await client.resumeQueue('parcel', by)).toBe('resumed')
    expect(await client.resumeQueue('parcel', by)).toBe('notPaused')
    expect(await client.resumeQueue('nothing', by)).toBe('notFound')
    expect(await ready()).toEqual(['parcel'])
    expect(numbersOf(await take()).toSorted((a, b) => a - b)).toEqual([2, 3])
    expect((await actions()).map(({ action }) => action)).toEqual(['pauseQueue', 'resumeQueue'])
  })

  it('is so once the transaction has committed, and resuming it wakes workers', async () => {
    await enqueue(1)
    await runtime.prisma.$transaction(async (tx) => {
      await opened.client.pauseQueue('parcel', by, { tx })
      expect(await take()).toHaveLength(1)
    }, LONG)
    await enqueue(2)
    expect(await take()).toEqual([])
    await waitFor(() => wakeUps > 0)
    // From here on, only the resumed queue can wake.
    const before = wakeUps
    await opened.client.resumeQueue('parcel', by)
    await waitFor(() => wakeUps > before)
  })
})

describe('waiting work', () => {
  it('is listed in the order in which it starts, page by page, and its payload is not', async () => {
    const items = [1, 2, 3, 4, 5].map((n) => ({ payload: { n } }))
    await opened.client.enqueueManyNow(parcel, items)
    // Several at the same instant, among which the id decides.
    const startAfter = new Date('2098-01-01T00:00:00.123Z')
    const delayed = items.map((item) => ({ ...item, options: { startAfter } }))
    await opened.client.enqueueManyNow(parcel, delayed)
    const late = await enqueue(6, { startAfter: new Date('2099-01-01T00:00:00.000Z'), priority: 3 })
    const expiresAt = new Date('2099-01-01T00:00:00.000Z')
    const soon = new Date(Date.now() - 60_000)
    await enqueue(7, { uniqueKey: 'k', startAfter: soon, expiresAt, priority: -1 })
    await fail(await opened.take('parcel', 1))
    await opened.client.enqueueNow(other, {})
    await runtime.rows(`update "JobWork" set "label" = 'Order 6' where "rank" = -3`)

    const page = async (order: 'first' | 'last') => {
      const seen: string[] = []
      for (let after: PagePosition | undefined; seen.length < 20;) {
        const asked = { name: 'parcel', limit: 2, after, order }
        const { work, next } = await listWaitingWork(runtime.reader, asked)
        seen.push(...work.map(({ workId }) => workId))
        if (next === null) break
        after = next
      }
      return seen
    }
    const seen = await page('first')
    expect(await page('last')).toEqual(seen.toReversed())
    const all = await listWaitingWork(runtime.reader, { name: 'parcel', limit: 50 })
    expect(all.work.map(({ workId }) => workId)).toEqual(seen)
    expect(new Set(seen).size).toBe(12)
    const later = all.work.filter(({ isDue }) => !isDue).map((work) => work.startAfter)
    expect(later).toEqual(later.toSorted())
    expect(later).toHaveLength(6)
    expect(all.work.filter(({ attempts }) => attempts === 1)).toHaveLength(1)
    expect(all.work.filter(({ hasUniqueKey }) => hasUniqueKey)).toMatchObject([
      { expiresAt: expiresAt.toISOString(), isDue: true, label: null },
    ])
    expect(all.work.at(-1)).toEqual({
      workId: late.workId,
      name: 'parcel',
      label: 'Order 6',
      key: null,
      startAfter: '2099-01-01T00:00:00.000Z',
      isDue: false,
      enqueuedAt: expect.stringMatching(/Z$/),
      attempts: 0,
      priority: 3,
      hasUniqueKey: false,
      expiresAt: null,
    })
    const everything = await listWaitingWork(runtime.reader, { limit: 50 })
    expect(everything.work).toHaveLength(13)
    expect(await countWaitingWork(runtime.reader, {})).toBe(13)
    const names = [...new Set(everything.work.map(({ name }) => name))].toSorted()
    expect(names).toHaveLength(2)
    expect(await sumWaitingWork(runtime.reader, {})).toEqual({ count: 13, isCut: false, names })
    const one = { count: 12, isCut: false, names: ['parcel'] }
    expect(await sumWaitingWork(runtime.reader, { name: 'parcel' })).toEqual(one)
    const order = { count: 1, isCut: false, names: ['parcel'] }
    expect(await sumWaitingWork(runtime.reader, { label: 'Order 6' })).toEqual(order)
    const none = { count: 0, isCut: false, names: [] }
    expect(await sumWaitingWork(runtime.reader, { label: 'nothing' })).toEqual(none)
    const next = await listWaitingWork(runtime.reader, { limit: 1, label: 'Order 6' })
    expect(next).toMatchObject({ work: [{ workId: late.workId }], next: null })
    const labelled = { name: 'parcel', label: 'Order 6' }
    expect((await listWaitingWork(runtime.reader, { ...labelled, limit: 9 })).work).toHaveLength(1)
    expect(await countWaitingWork(runtime.reader, labelled)).toBe(1)
    const part = { name: 'parcel', labelPart: 'oRDER 6' }
    expect((await listWaitingWork(runtime.reader, { ...part, limit: 9 })).work).toHaveLength(1)
    expect(await countWaitingWork(runtime.reader, part)).toBe(1)
    expect(await countWaitingWork(runtime.reader, { labelPart: '%' })).toBe(0)
    expect(JSON.stringify(everything)).not.toContain('payload')
    const due = all.work.filter(({ isDue }) => isDue).map(({ workId }) => workId)
    // What is to be retried gets its place behind the others of its priority only now.
    const started = (await take()).map(({ workId }) => workId)
    expect(started.toSorted()).toEqual(due.toSorted())
    expect(started.slice(0, 4)).toEqual(due.slice(0, 4))
  })

  it('is listed from its first on where a worker has taken what the page before ended with', async () => {
    for (const n of [1, 2, 3, 4]) await enqueue(n)
    await enqueue(5, { startAfter: new Date('2099-01-01T00:00:00.000Z') })
    const page = async (after: PagePosition | undefined) => {
      const { work, next } = await listWaitingWork(runtime.reader, {
        name: 'parcel',
        limit: 2,
        after,
      })
      return { ids: work.map(({ workId }) => workId), next }
    }
    const first = await page(undefined)
    const second = await page(first.next!)
    expect((await take(3)).map(({ workId }) => workId)).toEqual([...first.ids, second.ids[0]])
    const again = await page(first.next!)
    expect(again.ids[0]).toBe(second.ids[1])
    expect((await page(second.next!)).ids).toEqual(again.ids.slice(1))
  })

  it('is listed from its last on, each once, where what a page ended with is gone', async () => {
    const [first, second] = [await enqueue(1), await enqueue(2)]
    const years = [2097, 2099, 2098]
    const ids = new Map<number, string>()
    for (const year of years) {
      const { workId } = await enqueue(year, { startAfter: new Date(`${year}-01-01T00:00:00Z`) })
      ids.set(year, workId)
    }
    const seen: string[] = []
    for (let after: PagePosition | undefined; ;) {
      const asked = { name: 'parcel', limit: 1, after, order: 'last' as const }
      const { work, next } = await listWaitingWork(runtime.reader, asked)
      seen.push(...work.map(({ workId }) => workId))
      if (next === null) break
      after = next
      await runtime.rows('delete from "JobWork" where "id" = $1::uuid', [work[0]?.workId])
    }
    const later = [2099, 2098, 2097].map((year) => ids.get(year))
    expect(seen).toEqual([...later, second.workId, first.workId])
  })

  it('is cancelled, by its ids, its label, or all of it: what runs goes on, and keys are free', async () => {
    const { client } = opened
    const first = await enqueue(1, { uniqueKey: 'k' })
    await fail(await take())
    const [running] = await opened.take('parcel', 1)
    for (const n of [2, 3]) await enqueue(n)
    await enqueue(4)
    await runtime.rows(`update "JobWork" set "label" = 'x' where "payload" ->> 'n' = '4'`)
    expect(numbersOf([running!])).toEqual([1])
    await fail([running!])

    const ids = [first.workId, crypto.randomUUID()]
    expect(await client.cancelWork({ job: parcel, ids }, by)).toEqual({ done: 1, left: 0 })
    expect(await getWork(runtime.reader, parcel, first.workId)).toEqual({
      kind: 'failed',
      errorCode: 'cancelled',
    })
    expect(await enqueue(5, { uniqueKey: 'k' })).toMatchObject({ kind: 'enqueued' })
    const labelled = { job: parcel, label: 'x' }
    expect(await client.cancelWork(labelled, by)).toEqual({ done: 1, left: 0 })
    await opened.take('parcel', 1)
    expect(await client.cancelWork({ job: parcel, all: true }, by)).toEqual({
      done: 2,
      left: 0,
    })
    expect(await states()).toEqual(['active 2'])
    const made = await actions()
    expect(made).toHaveLength(4)
    for (const { action, workId } of made) {
      expect(action).toBe('cancelWork')
      const cancelled = { kind: 'failed', errorCode: 'cancelled' }
      expect(await getWork(runtime.reader, parcel, workId as string)).toEqual(cancelled)
    }
    expect(await runtime.rows('select from "JobUnique"')).toEqual([])
    await expect(client.cancelWork({ job: parcel } as never, by)).rejects.toThrow(TypeError)
  })

  it('is either cancelled or taken, never both, however many do it at once', async () => {
    await opened.client.enqueueManyNow(
      parcel,
      Array.from({ length: 300 }, (_, n) => ({ payload: { n } })),
    )
    const taken: TestWork[] = []
    const cancelled: number[] = []
    const all = { job: parcel, all: true } as const
    await Promise.all([
      ...Array.from({ length: 4 }, async () => {
        for (let n = 0; n < 20; n++) taken.push(...(await opened.take('parcel', 3)))
      }),
      ...Array.from({ length: 3 }, async () => {
        for (const label of ['a', 'b']) {
          await runtime.rows(
            `update "JobWork" set "label" = $1
             where "id" in (select "id" from "JobWork" limit 20 for update skip locked)`,
            [label],
          )
          const { done } = await opened.client.cancelWork({ job: parcel, label }, by)
          cancelled.push(done)
        }
      }),
    ])
    cancelled.push((await opened.client.cancelWork(all, by)).done)
    const sum = cancelled.reduce((total, done) => total + done, 0)
    expect(await actions()).toHaveLength(sum)
    const found = await states()
    expect(found.filter((state) => !state.startsWith('active'))).toEqual([])
    expect(found).toHaveLength(taken.length)
    expect(taken.length + sum).toBe(300)
  })

  it('that somebody has locked is passed over and told as left', async () => {
    for (const n of [1, 2]) await enqueue(n)
    await runtime.prisma.$transaction(async (tx) => {
      await tx.$queryRaw`select from "JobWork" where "payload" ->> 'n' = '1' for update`
      expect(await opened.client.cancelWork({ job: parcel, all: true }, by)).toEqual({
        done: 1,
        left: 1,
      })
    }, LONG)
    expect(await states()).toEqual(['created 1'])
  })

  it(
    'is changed 10,000 at once, and it is told how much is left',
    { timeout: 120_000 },
    async () => {
      await runtime.rows(
        `insert into "JobWork" ("id", "name", "losses", "bytes", "payload")
         select gen_random_uuid(), 'parcel', n % 5, 9, jsonb_build_object('n', n) from generate_series(1, 10030) n`,
      )
      const all = { job: parcel, all: true } as const
      const later = { ...by, startAfter: new Date('2099-01-01T00:00:00Z') }
      const half = { done: 10_000, left: 30 }
      const rest = { done: 30, left: 0 }
      const { client } = opened
      expect(await client.postponeWork(all, later)).toEqual(half)
      expect(await client.postponeWork(all, later)).toEqual(rest)
      expect(await client.prioritiseWork(all, { ...by, priority: 4 })).toEqual(half)
      expect(await client.prioritiseWork(all, { ...by, priority: 4 })).toEqual(rest)
      expect(await client.cancelWork(all, by)).toEqual(half)
      expect(await client.cancelWork(all, by)).toEqual(rest)
    },
  )

  it('is postponed and never hastened by that, and due at once in the order in which it was due', async () => {
    const { client } = opened
    const YEAR_MS = 365 * 86_400_000
    const later = new Date(Date.now() + 3 * YEAR_MS)
    const muchLater = new Date(Date.now() + 5 * YEAR_MS)
    await enqueue(1)
    await enqueue(2, { startAfter: muchLater })
    const all = { job: parcel, all: true } as const
    expect(await client.postponeWork(all, { ...by, startAfter: later })).toEqual({
      done: 1,
      left: 0,
    })
    const dues = () => runtime.rows('select "dueAt" from "JobWork" order by "dueAt"')
    expect(await dues()).toEqual([{ dueAt: later }, { dueAt: muchLater }])
    expect(await take()).toEqual([])
    const before = wakeUps
    const now = { ...by, startAfter: new Date(0) }
    expect(await client.postponeWork(all, now)).toEqual({ done: 2, left: 0 })
    await waitFor(() => wakeUps > before)
    expect(numbersOf(await take())).toEqual([1, 2])
    await expect(client.postponeWork(all, { ...by, startAfter: new Date(NaN) })).rejects.toThrow(
      'startAfter must be a valid date',
    )
  })

  it('takes its payload along where it is cancelled, also one that is long', async () => {
    const payload = z.strictObject({ text: z.string() })
    const note = defineJob({ name: 'note', payload })
    await opened.client.enqueueNow(note, { text: 'x'.repeat(5_000) })
    expect(await runtime.rows('select from "JobPayload"')).toHaveLength(1)
    await opened.client.cancelWork({ job: note, all: true }, by)
    expect(await runtime.rows('select from "JobPayload"')).toEqual([])
  })

  it('keeps its order among work that gets another priority', async () => {
    for (const n of [1, 2, 3]) await enqueue(n, { priority: n % 2 })
    await enqueue(4, { priority: 5 })
    const which = { job: parcel, all: true } as const
    await opened.client.prioritiseWork(which, { ...by, priority: 5 })
    // Behind what had that priority before, in the order in which it would have been taken.
    expect(numbersOf(await take())).toEqual([4, 1, 3, 2])
  })

  it('with a higher priority is taken first', async () => {
    const { client } = opened
    for (const n of [1, 2, 3]) await enqueue(n)
    const { workId } = await enqueue(4)
    const which = { job: parcel, ids: [workId] }
    expect(await client.prioritiseWork(which, { ...by, priority: 5 })).toEqual({
      done: 1,
      left: 0,
    })
    expect(numbersOf(await take(1))).toEqual([4])
    await expect(client.prioritiseWork(which, { ...by, priority: 0.5 })).rejects.toThrow(
      'priority must be a whole number of 32 bits, not 0.5',
    )
  })
})
