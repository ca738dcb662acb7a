// Not quick: waits until a connection is free.
import { createDatabaseClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import { expect, test } from 'vitest'
import { defineJob, type HostClient, type RunContext } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const hog = defineJob({ name: 'hog', description: 'Holds all connections of the client.' })
const innocent = defineJob({
  name: 'innocent',
  description: 'Needs one of them.',
  retry: { limit: 0 },
})
const jobs = [hog, innocent] as const

const { runtime, client: enqueuer } = useClientRuntime()

test('a batch for which no connection is free waits for one, and costs no attempt', async () => {
  const client = createDatabaseClient({
    url: runtime.url,
    applicationName: 'hogged',
    poolSize: 1,
    onPoolError: () => undefined,
  })
  let refused = 0
  const prisma: HostClient = {
    $transaction: (work, options) =>
      client.$transaction(work, options).catch((error: unknown) => {
        refused++
        throw error
      }),
  }
  const release = Promise.withResolvers<void>()
  const isHeld = Promise.withResolvers<void>()
  const worker = createWorker({
    ...runtime.workerOptions,
    client: prisma,
    jobs,
    handlers: {
      async hog({ batch }: RunContext<Record<string, never>, unknown>) {
        await batch(async () => {
          isHeld.resolve()
          await release.promise
          return { held: 1 }
        })
      },
      async innocent({ batch }: RunContext<Record<string, never>, unknown>) {
        await isHeld.promise
        await batch(async () => ({ done: 1 }))
      },
    },
  })
  await enqueuer.enqueueNow(hog, {})
  await enqueuer.enqueueNow(innocent, {})
  try {
    await worker.start()
    await waitFor(() => refused > 0, { timeoutMs: 20_000 })
    release.resolve()
    const ended = async () =>
      await runtime.rows(
        `select "name", "status", "attempt" from "JobRun" where "endedAt" is not null order by "name"`,
      )
    await waitFor(async () => (await ended()).length === 2, { timeoutMs: 20_000 })
    expect(await ended()).toEqual([
      { name: 'hog', status: 'success', attempt: 1 },
      { name: 'innocent', status: 'success', attempt: 1 },
    ])
  } finally {
    release.resolve()
    await worker.stop({ drainTimeoutMs: 0 })
    await client.$disconnect()
  }
}, 60_000)
