// Not quick: waits until connections that say nothing are given up.
import { waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

/** A connection is given up after 5 s, and a start opens several, one after the other. */
const GIVEN_UP = { timeoutMs: 40_000 }

/** More than a worker sends until its first run has ended. */
const MESSAGES = 40

const runtime = useTestRuntime()

/** A worker does one piece of work, while the connection of its `message`-th message falls silent with it. */
async function workWithout(message: number): Promise<void> {
  const { proxy, url } = await openProxyTo(runtime.url)
  const job = defineJob({ name: `parcel${message}`, payload: z.object({}) })
  const openWorker = () =>
    createWorker({
      ...runtime.workerOptions,
      databaseUrl: url,
      jobs: [job] as const,
      handlers: { [job.name]: () => Promise.resolve() },
    })
  const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  let worker = openWorker()
  try {
    proxy.forgetAt(message)
    const start = worker.start().catch(() => {
      // It said so: whoever supervises it starts it anew.
      worker = openWorker()
      return worker.start()
    })
    let isStarted = false
    start.then(
      () => (isStarted = true),
      () => undefined,
    )
    await waitFor(() => isStarted, { ...GIVEN_UP, message: `start without message ${message}` })
    await client.enqueueNow(job, {})
    const succeeded = `select from "JobRunAll" where "name" = $1 and "status" = 'success'`
    await waitFor(async () => (await runtime.rows(succeeded, [job.name])).length > 0, {
      ...GIVEN_UP,
      message: `run without message ${message}`,
    })
  } finally {
    await worker.stop()
    proxy.close()
    await client.stop()
  }
}

describe('a connection that falls silent, at any message', () => {
  it('keeps no worker from its work', { timeout: 200_000 }, async () => {
    const messages = Array.from({ length: MESSAGES }, (_, at) => at + 1)
    const workers = await Promise.allSettled(messages.map(workWithout))
    const reasons = workers.flatMap((w) => (w.status === 'rejected' ? [String(w.reason)] : []))
    expect(reasons).toEqual([])
  })
})
