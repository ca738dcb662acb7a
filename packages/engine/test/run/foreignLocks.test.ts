// Not quick: holds locks for longer than ours wait for them.
import { foreignLocks, listEngineTables, takeForeignLocks, waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { noClock } from '../fixtures/noClock.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { countLockWaits, LOOKED_FOR_DEADLOCK_MS } from '../countLockWaits.ts'
import { startTestWorker } from '../startTestWorker.ts'

/** Ends as its payload says, once the test opens the gate. */
const hold = defineJob({
  name: 'hold',
  payload: z.object({
    key: z.string(),
    fails: z.boolean().optional(),
    hasBatch: z.boolean().optional(),
  }),
  concurrency: 100,
  retry: { limit: 0 },
})
const jobs = [hold] as const

const { runtime, client } = useClientRuntime()
let worker: Worker
/** How often each piece was started. */
let starts: Map<string, number>
let openGate: () => void
let gate: Promise<void>
let foreign: pg.Client

beforeEach(async () => {
  starts = new Map()
  runtime.lines.length = 0
  gate = new Promise((resolve) => (openGate = resolve))
  foreign = new pg.Client({ connectionString: runtime.url, application_name: 'foreign' })
  await foreign.connect()
  worker = createWorker({
    ...runtime.workerOptions,
    jobs,
    handlers: {
      async hold({ payload, batch }) {
        starts.set(payload.key, (starts.get(payload.key) ?? 0) + 1)
        await gate
        if (payload.hasBatch) await batch(async () => ({ batched: 1 }))
        if (payload.fails) throw new Error('as it was told')
      },
    },
    clock: noClock,
  })
  await worker.start()
})

afterEach(async () => {
  openGate()
  await foreign.end()
  await worker.stop()
  await runtime.clear()
})

/** Has so many pieces run until the gate opens. Some fail then. */
async function runHeld(count: number, options: { isKeyed: boolean }): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, at) => `${at}`)
  await client.enqueueManyNow(
    hold,
    keys.map((key, at) => ({
      payload: { key, fails: at % 5 === 4 },
      ...(options.isKeyed && { options: { uniqueKey: key } }),
    })),
  )
  await waitFor(() => starts.size === count, { message: 'all pieces run' })
  return keys
}

/** Replaces work in the transaction of the other session. */
const replace = (key: string) =>
  client.enqueue(foreign, hold, { key: `new ${key}` }, { uniqueKey: key, onConflict: 'replace' })

/** How many pieces have ended, as the record says. */
async function ended(): Promise<number> {
  const [row] = await runtime.rows<{ n: number }>(
    `select count(*)::int n from "JobRunAll" where "endedAt" is not null and "name" = 'hold'`,
  )
  return row!.n
}

describe('while a transaction of the host has replaced work that runs', () => {
  it.each([
    [1, 'rollback'],
    [30, 'rollback'],
    [30, 'commit'],
  ])(
    'and is left open, also the ends of those %s are recorded, and its %s decides',
    async (replaced, end) => {
      const keys = await runHeld(40, { isKeyed: true })
      await foreign.query('begin')
      for (const key of keys.slice(0, replaced)) await replace(key)
      openGate()
      await waitFor(async () => (await ended()) === 40, { message: 'all ends are recorded' })
      expect(await runtime.rows('select from "JobClaim"')).toEqual([])
      await foreign.query(end)
      const count = end === 'commit' ? 40 + replaced : 40
      await waitFor(async () => (await ended()) === count, { message: 'newer work runs' })
      expect([...starts.values()]).toEqual(Array.from({ length: count }, () => 1))
      // Those of work that has ended meanwhile are freed by a round.
      await waitFor(async () => (await runtime.rows('select from "JobUnique"')).length === 0, {
        timeoutMs: 30_000,
        message: 'no key is held any more',
      })
    },
  )

  it('and then replaces the work beside it, PostgreSQL finds no deadlock', async () => {
    const keys = await runHeld(30, { isKeyed: true })
    await foreign.query('begin')
    await replace('15')
    openGate()
    // Whoever waits for longer than a second has looked for a deadlock, and will not look again.
    await waitFor(async () => (await ended()) === 30 || (await waitsForLong()), {
      message: 'the ends are recorded, or wait',
    })
    for (const key of keys.filter((one) => one !== '15')) await replace(key)
    await foreign.query('commit')
    await waitFor(async () => (await ended()) === 60, { message: 'old and new work has ended' })
    expect(starts.size).toBe(60)
  })
})

const waitsForLong = () => countLockWaits(runtime, { longerThanMs: LOOKED_FOR_DEADLOCK_MS })

describe('while somebody has locked what a worker has taken', () => {
  /** One claim for each. */
  async function runOneByOne(count: number): Promise<void> {
    for (let n = 1; n <= count; n++) {
      await client.enqueueNow(hold, { key: `${n}`, hasBatch: true })
      await waitFor(() => starts.size === n, { message: 'the piece runs' })
    }
  }

  it('all others commit their first batch and end', async () => {
    await runOneByOne(8)
    await foreign.query('begin')
    const { rows } = await foreign.query(
      `select from "JobClaim" where "id" in (select "id" from "JobClaim" limit 6) for update`,
    )
    openGate()
    await waitFor(async () => (await ended()) === 8 - rows.length, {
      message: 'all ends but the locked ones are recorded',
    })
    await foreign.query('rollback')
    await waitFor(async () => (await ended()) === 8, { message: 'all ends are recorded' })
    expect([...starts.values()]).toEqual(Array.from({ length: 8 }, () => 1))
  })

  it('the end of a run is recorded though its claim is locked, which goes when it is free', async () => {
    const keys = await runHeld(10, { isKeyed: true })
    const claims = async () => (await runtime.rows('select from "JobClaim"')).length
    await foreign.query('begin')
    await foreign.query('select from "JobClaim" for share')
    openGate()
    await waitFor(async () => (await ended()) === keys.length, { message: 'all ends are recorded' })
    expect(await claims()).toBeGreaterThan(0)
    await foreign.query('rollback')
    await waitFor(async () => (await claims()) === 0, { message: 'the claims are gone' })
  })
})

describe('while a transaction of the host', () => {
  it('has replaced work that expires meanwhile, and then replaces other such work, PostgreSQL finds no deadlock', async () => {
    await runHeld(2, { isKeyed: true })
    await foreign.query('begin')
    await replace('1')
    await runtime.rows('update "JobClaim" set "expiresAt" = "createdAt"')
    await waitFor(async () => (await ended()) === 2 || (await waitsForLong()), {
      timeoutMs: 30_000,
      message: 'both have ended, or their ends wait',
    })
    await expect(replace('0')).resolves.toBeDefined()
    await foreign.query('rollback')
    expect(await ended()).toBe(2)
  })
})

describe('a worker starts', () => {
  /** It signs up beside one that is long gone. */
  const startAnother = async () => {
    const handlers = { hold: async () => undefined }
    await startTestWorker(runtime, { jobs, handlers, clock: noClock })
  }
  it('while somebody has locked the row of a worker that is long gone', async () => {
    await runtime.rows(
      `insert into "JobWorker" ("id", "heartbeatAt") values
         ('held', now() - interval '2 days'), ('gone', now() - interval '2 days')`,
    )
    await foreign.query('begin')
    await foreign.query(`select from "JobWorker" where "id" = 'held' for update`)
    await startAnother()
    const rest = await runtime.rows(`select "id" from "JobWorker" where "id" in ('held', 'gone')`)
    expect(rest).toEqual([{ id: 'held' }])
    await foreign.query('rollback')
    await runtime.rows(`delete from "JobWorker" where "id" = 'held'`)
  })

  it('as soon as a table is free that somebody has locked', async () => {
    await foreign.query('begin')
    await foreign.query('lock table "JobWorker" in share mode')
    const started = startAnother()
    started.catch(() => undefined)
    await waitFor(
      () => runtime.lines.some(({ msg }) => String(msg).startsWith('the worker starts once')),
      { message: 'it says what it waits for' },
    )
    await foreign.query('rollback')
    await expect(started).resolves.toBeUndefined()
  })
})

describe('whatever another session locks, and for how long', () => {
  it('all work ends once, and that session meets no deadlock', async () => {
    const tables = await listEngineTables(foreign)
    const isKeyed = fc.boolean()
    await fc.assert(
      fc.asyncProperty(foreignLocks(2_500), isKeyed, async (drawn, areKeyed) => {
        starts.clear()
        const before = await ended()
        gate = new Promise((resolve) => (openGate = resolve))
        await runHeld(12, { isKeyed: areKeyed })
        await foreign.query('begin')
        await takeForeignLocks(foreign, tables, drawn)
        openGate()
        await foreign.query('select pg_sleep($1 / 1000.0)', [drawn.heldMs])
        await foreign.query('rollback')
        await waitFor(async () => (await ended()) - before === 12, {
          message: 'all ends are recorded once the locks are gone',
        })
        expect([...starts.values()]).toEqual(Array.from({ length: 12 }, () => 1))
      }),
      { numRuns: 6 },
    )
  })
})

describe('a worker in the list of workers', () => {
  const listed = () => runtime.rows('select from "JobWorker" where "id" = $1', [worker.id])

  it('whose row somebody has removed is listed again', async () => {
    await runtime.rows('delete from "JobWorker"')
    const again = await waitFor(async () => (await listed()).length === 1)
    expect(again).toBe(true)
  })

  it('whose row somebody has locked makes its rounds and keeps its work', async () => {
    await foreign.query('begin')
    await foreign.query('select from "JobWorker" for update')
    await runHeld(3, { isKeyed: false })
    // Only a round finds it, after the worker's next heartbeat is due.
    const startAfter = new Date(Date.now() + 8_000)
    await client.enqueueNow(hold, { key: 'later' }, { startAfter })
    await waitFor(() => starts.has('later'), { message: 'a round finds delayed work' })
    openGate()
    await waitFor(async () => (await ended()) === 4, { message: 'all ends are recorded' })
    expect([...starts.values()]).toEqual([1, 1, 1, 1])
    expect(runtime.lines.filter(({ level }) => Number(level) > 30)).toEqual([])
    await foreign.query('rollback')
  })
})
