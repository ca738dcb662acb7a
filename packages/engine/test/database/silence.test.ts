// Not quick: waits until connections that say nothing are given up.
import { waitFor, type Proxy } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import type { Worker } from '../../src/worker.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

/** Fifteen seconds for a statement, and five for those that were sent since. */
const SOON = { timeoutMs: 20_000 }
const COUNT = 20

const parcel = defineJob({
  name: 'parcel',
  payload: z.object({ isHeld: z.boolean() }),
  concurrency: COUNT,
})
const jobs = [parcel] as const

const { runtime, client } = useClientRuntime({ cleared: [] })
let proxy: Proxy
let worker: Worker
let openGate: () => void
let calls: number

beforeEach(async () => {
  const opened = await openProxyTo(runtime.url)
  proxy = opened.proxy
  const gate = new Promise<void>((resolve) => (openGate = resolve))
  calls = 0
  worker = await startTestWorker(runtime, {
    databaseUrl: opened.url,
    jobs,
    handlers: {
      async parcel({ payload }) {
        calls++
        if (payload.isHeld) await gate
      },
    },
  })
})

afterEach(async () => {
  openGate()
  proxy.heal()
  await worker.stop({ drainTimeoutMs: 0 })
  proxy.close()
})

const enqueue = (isHeld: boolean) =>
  client.enqueueManyNow(
    parcel,
    Array.from({ length: COUNT }, () => ({ payload: { isHeld } })),
  )
const succeeded = async () =>
  (await runtime.rows(`select from "JobRunAll" where "status" = 'success'`)).length

/** Has the pool open several connections: work ends on some while it is taken on others. */
async function openConnections(): Promise<void> {
  let enqueued = 0
  await waitFor(async () => {
    await Promise.all([enqueue(false), enqueue(false), enqueue(false)])
    enqueued += 3 * COUNT
    await waitFor(async () => (await succeeded()) === enqueued)
    return worker.connections().total > 2
  })
  await runtime.rows('truncate "JobRun"')
}

describe('all connections of a worker that fall silent, while new ones are answered', () => {
  beforeEach(openConnections, 60_000)

  it('are replaced, all together: work goes on', { timeout: 60_000 }, async () => {
    proxy.forget()
    await enqueue(false)
    await waitFor(async () => (await succeeded()) === COUNT, SOON)
    await enqueue(false)
    await waitFor(async () => (await succeeded()) === 2 * COUNT, SOON)
    expect(worker.isReady()).toBe(true)
  })

  it('lose no end of a run, and have none called twice', { timeout: 60_000 }, async () => {
    calls = 0
    await enqueue(true)
    await waitFor(() => calls === COUNT)
    proxy.forget()
    openGate()
    await waitFor(async () => (await succeeded()) === COUNT, SOON)
    expect(calls).toBe(COUNT)
  })
})
