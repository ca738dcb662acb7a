import { setTimeout as pause } from 'node:timers/promises'
import { createJobsClient, listJobRuns } from '@roundsman/engine/client'
import { defineJob } from '@roundsman/engine'
import { migrate as migrateEngine } from '@roundsman/engine/migrate'
import { createWorker } from '@roundsman/engine/worker'
import { createLogger } from '@roundsman/node-app'
import { createProxy, waitFor, type Proxy } from '@roundsman/testing'
import pg from 'pg'
import { z } from 'zod'
import { createRandom, type Random } from '../createRandom.ts'

export interface NetworkOptions {
  seed: number
  /** How many disturbances follow each other. */
  steps: number
}

export interface NetworkResult {
  seed: number
  /** What did not hold; empty when all did. */
  problems: string[]
  /** What happened, in order. */
  steps: string[]
  enqueued: number
}

/** Work goes on 15 s after the network is back; a busy machine and the retries of what failed meanwhile take some more. */
const BACK_WITHIN_MS = 60_000
const RETRIES = 20

const parcel = defineJob({
  name: 'parcel',
  payload: z.object({ n: z.number(), pauseMs: z.number() }),
  concurrency: 20,
  retry: { limit: RETRIES, delayMs: 1_000, maxDelayMs: 1_000 },
})

/** Disturbs one of the networks, and says how. */
const DISTURBANCES: readonly [Disturbance, ...Disturbance[]] = [
  (proxy, random) => {
    const ms = random.pick([0, 1, 5])
    proxy.delay(ms)
    return `${ms} ms later`
  },
  (proxy) => {
    proxy.forget()
    return 'silent, new connections are answered'
  },
  (proxy) => {
    proxy.goHalfOpen()
    return 'silent, new connections too'
  },
  (proxy, random) => {
    const bytes = random.integer(1, 3_000)
    proxy.cutAfter(bytes)
    return `cut after ${bytes} bytes`
  },
  (proxy) => `cut: ${proxy.cut()} connections`,
]
type Disturbance = (proxy: Proxy, random: Random) => string

/**
 * Has a worker and a client live with networks that are slow, silent or cut at random, and looks whether all that was enqueued
 * has succeeded, none of it twice without a failure on record, and soon after the networks are back.
 */
export async function runNetworks(
  { seed, steps }: NetworkOptions,
  { databaseUrl, signal }: { databaseUrl: string; signal: AbortSignal },
): Promise<NetworkResult> {
  const random = createRandom(seed)
  const log = createLogger({ app: 'networks', level: 'silent' })
  await migrateEngine({ databaseUrl, log })
  const pool = new pg.Pool({ connectionString: databaseUrl, application_name: 'networks', max: 2 })
  pool.on('error', () => undefined)
  const networks = {
    worker: await openNetwork(databaseUrl),
    client: await openNetwork(databaseUrl),
  }
  const client = createJobsClient({ databaseUrl: networks.client.url, log })
  const calls = new Map<number, number>()
  const worker = createWorker({
    databaseUrl: networks.worker.url,
    client: pool,
    jobs: [parcel],
    handlers: {
      async parcel({ payload: { n, pauseMs } }) {
        calls.set(n, (calls.get(n) ?? 0) + 1)
        await pause(pauseMs)
      },
    },
    retention: false,
    log,
  })
  const result: NetworkResult = { seed, problems: [], steps: [], enqueued: 0 }
  try {
    await client.start()
    await worker.start()
    for (let step = 0; step < steps; step++) {
      signal.throwIfAborted()
      const where = random.pick<keyof typeof networks>(['worker', 'client'])
      await enqueueSome()
      const { proxy } = networks[where]
      result.steps.push(`${where}: ${random.pick(DISTURBANCES)(proxy, random)}`)
      await enqueueSome()
      await pause(random.integer(0, 3_000), undefined, { signal })
      if (random.chance(0.5)) proxy.heal(random.chance(0.5))
    }
    for (const { proxy } of Object.values(networks)) {
      proxy.delay(0)
      proxy.heal(random.chance(0.5))
      // It stays silent: ours give it up by themselves.
      if (random.chance(0.5)) proxy.forget()
    }
    await enqueueSome()
    await judge()
    return result
  } finally {
    await worker.stop({ drainTimeoutMs: 0 })
    await client.stop()
    for (const { proxy } of Object.values(networks)) proxy.close()
    await pool.end()
  }

  /** Over a connection that nothing disturbs: whether a caller's own commit came through is the caller's to find out. */
  async function enqueueSome(): Promise<void> {
    for (let left = random.integer(1, 20); left > 0; left--) {
      const payload = { n: result.enqueued, pauseMs: random.pick([0, 0, 50, 500]) }
      const tx = await pool.connect()
      await tx.query('begin')
      await client.enqueue(tx, parcel, payload)
      await tx.query('commit')
      tx.release()
      result.enqueued++
    }
  }

  async function judge(): Promise<void> {
    const haveSucceeded = async () => (await countRuns()).success >= result.enqueued
    await waitFor(haveSucceeded, { timeoutMs: BACK_WITHIN_MS, signal }).catch(() =>
      signal.throwIfAborted(),
    )
    const { success, failed, running } = await countRuns()
    if (success !== result.enqueued || running > 0)
      result.problems.push(
        `of ${result.enqueued} pieces ${success} succeeded, ${running} runs are under way`,
      )
    const called = [...calls.values()].reduce((sum, count) => sum + count, 0)
    if (calls.size !== result.enqueued)
      result.problems.push(`of ${result.enqueued} pieces ${calls.size} were called`)
    if (called > result.enqueued + failed)
      result.problems.push(
        `${called} calls of ${result.enqueued} pieces, and only ${failed} failures on record`,
      )
    const { runs } = await listJobRuns(client.reader, { limit: 1 })
    if (runs.length !== 1) result.problems.push('the client does not read')
  }

  async function countRuns(): Promise<{ success: number; failed: number; running: number }> {
    const { rows } = await pool.query<{ status: string; count: number }>(
      `select "status"::text as "status", count(*)::int as "count" from roundsman."JobRunAll" group by 1`,
    )
    const of = (status: string) => rows.find((row) => row.status === status)?.count ?? 0
    return { success: of('success'), failed: of('failed'), running: of('running') }
  }
}

async function openNetwork(databaseUrl: string): Promise<{ proxy: Proxy; url: string }> {
  const url = new URL(databaseUrl)
  const proxy = await createProxy(Number(url.port))
  url.hostname = '127.0.0.1'
  url.port = String(proxy.port)
  return { proxy, url: url.href }
}
