// Measures one thing about durable steps, with a worker and a client of this process.
import { setTimeout as pause } from 'node:timers/promises'
import { defineJob, defineSignal, type Job } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import pg from 'pg'
import { z } from 'zod'
import { followDriver } from '../../followDriver.ts'
import { createClient, log } from '../../product.ts'
import { median } from '../../statistics.ts'

export interface StepsSettings {
  databaseUrl: string
  what: keyof typeof MEASURES
  count: number
}

const CONCURRENCY = 1_000
const STEPS = 20

const approved = defineSignal({ name: 'approved' })
const call = defineJob({ name: 'call', concurrency: 100, steps: { call: {} } })
const lone = defineJob({ name: 'lone', timeoutMs: 600_000, steps: { call: {} } })
const book = defineJob({ name: 'book', timeoutMs: 600_000, steps: { book: {} } })
const batch = defineJob({ name: 'batch', timeoutMs: 600_000 })
const durable = defineJob({ name: 'durable', concurrency: CONCURRENCY, steps: { never: {} } })
const plain = defineJob({ name: 'plain', concurrency: CONCURRENCY })
const approval = defineJob({ name: 'approval', payload: z.string(), steps: { approval: {} } })
const mapped = defineJob({ name: 'mapped', timeoutMs: 600_000, steps: { parts: {} } })
const jobs = [call, lone, book, batch, durable, plain, approval, mapped] as const

const { settings, tell } = followDriver<StepsSettings>()
const { databaseUrl, what, count } = settings
const pool = new pg.Pool({ connectionString: databaseUrl })
const client = createClient(databaseUrl)
/** How long each of the steps took, and an insert with its commit after each of them. */
const took: { steps: number[]; inserts: number[] } = { steps: [], inserts: [] }
let handled = 0
let lastAtMs = 0
let mapMs = 0
let isDone = Promise.withResolvers<void>()
const INSERT = 'insert into "benchRow" ("at") values (now())'

const worker = createWorker({
  ...{ schema: 'public', retention: false, databaseUrl, client: pool, jobs, log },
  handlers: {
    async call({ step }) {
      for (let n = 0; n < STEPS; n++) await step.run('call', () => n, { item: `${n}` })
    },
    async lone({ step }) {
      for (let n = 0; n < count; n++) {
        const at = performance.now()
        await step.run('call', () => n, { item: `${n}` })
        const afterStep = performance.now()
        took.steps.push(afterStep - at)
        if (what === 'growth') continue
        await pool.query(INSERT)
        took.inserts.push(performance.now() - afterStep)
      }
      isDone.resolve()
    },
    async book({ step }) {
      for (let n = 0; n < count; n++)
        await step.tx('book', async (tx) => void (await tx.query(INSERT)), { item: `${n}` })
      isDone.resolve()
    },
    async batch(context) {
      for (let n = 0; n < count; n++)
        await context.batch(async (tx) => {
          await tx.query(INSERT)
          return { booked: 1 }
        })
      isDone.resolve()
    },
    durable: countOne,
    plain: countOne,
    async approval({ step, payload }) {
      const answer = await step.waitFor('approval', approved, { key: payload })
      if (answer === null) return
      lastAtMs = performance.now()
      isDone.resolve()
    },
    async mapped({ step }) {
      mapMs ||= performance.now()
      const payloads = Array.from({ length: count }, () => ({}))
      await step.map('parts', plain, payloads)
      lastAtMs = performance.now()
      isDone.resolve()
    },
  },
})
process.once('SIGTERM', () => void worker.stop().then(() => process.exit(0)))

async function countOne(): Promise<void> {
  if (++handled % count === 0) {
    lastAtMs = performance.now()
    isDone.resolve()
  }
}

async function enqueueMany(job: Job<string, Record<string, never>>, pieces: number): Promise<void> {
  for (let left = pieces; left > 0; left -= 10_000)
    await client.enqueueManyNow(
      job,
      Array.from({ length: Math.min(left, 10_000) }, () => ({ payload: {} })),
    )
}

/** Runs one piece, and returns how long it took in milliseconds. */
async function timeOne(job: Job<string, Record<string, never>>): Promise<number> {
  isDone = Promise.withResolvers()
  const startedAt = performance.now()
  await client.enqueueNow(job, {})
  await isDone.promise
  return performance.now() - startedAt
}

async function countRuns(status: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as "count" from "JobRun" where "status" = $1`,
    [status],
  )
  return rows[0]?.count ?? 0
}

const MEASURES = {
  /** Steps a second of many runs at once, until their ends are stored. */
  async runs() {
    await worker.start()
    await timeAll(call, 1)
    const startedAt = performance.now()
    await enqueueMany(call, count)
    while ((await countRuns('success')) < count + 1) await pause(5)
    return (count * STEPS * 1_000) / (performance.now() - startedAt)
  },
  /** A step, to an insert and its commit. */
  async lone() {
    await worker.start()
    await timeOne(lone)
    return { stepMs: median(took.steps), insertMs: median(took.inserts) }
  },
  /** The first and the last hundred steps of one run. */
  async growth() {
    await worker.start()
    await timeOne(lone)
    return { firstMs: median(took.steps.slice(0, 100)), lastMs: median(took.steps.slice(-100)) }
  },
  async tx() {
    await worker.start()
    await timeOne(book)
    await timeOne(batch)
    return { txMs: await timeOne(book), batchMs: await timeOne(batch) }
  },
  durable: () => timeWaiting(durable),
  plain: () => timeWaiting(plain),
  /** From the call that sends a signal to the line after the wait. */
  async signals() {
    await worker.start()
    const latencies: number[] = []
    for (let n = 0; n < count; n++) {
      await client.enqueueNow(approval, `${n}`)
      while ((await countRuns('suspended')) <= n) await pause(5)
      // No look of the wait's own is under way any more.
      await pause(20)
      isDone = Promise.withResolvers()
      const sentAt = performance.now()
      await client.signalNow(approved, { key: `${n}`, id: `${n}`, payload: n })
      await isDone.promise
      latencies.push(lastAtMs - sentAt)
    }
    return latencies
  },
  /** A map, to the same pieces enqueued and drained by themselves. */
  async map() {
    await worker.start()
    isDone = Promise.withResolvers()
    const startedAt = performance.now()
    await enqueueMany(plain, count)
    await isDone.promise
    const drainMs = performance.now() - startedAt
    while ((await countRuns('success')) < count) await pause(50)
    // The handler of each piece counts, too.
    handled = -count
    isDone = Promise.withResolvers()
    await client.enqueueNow(mapped, {})
    while (lastAtMs < mapMs || mapMs === 0 || (await countRuns('success')) < 2 * count + 1)
      await pause(50)
    return { mapMs: lastAtMs - mapMs, drainMs }
  },
}

async function timeAll(job: Job<string, Record<string, never>>, pieces: number): Promise<void> {
  await enqueueMany(job, pieces)
  while ((await countRuns('success')) < pieces) await pause(5)
}

/** Pieces a second of what waits. */
async function timeWaiting(job: Job<string, Record<string, never>>): Promise<number> {
  await enqueueMany(job, count)
  await pool.query('vacuum analyze "JobWork"')
  const startedAt = performance.now()
  await worker.start()
  await isDone.promise
  return (count * 1_000) / (performance.now() - startedAt)
}

await client.start()
await pool.query(
  'create table if not exists "benchRow" ("id" serial primary key, "at" timestamptz)',
)
tell({ measured: await MEASURES[what]() })
