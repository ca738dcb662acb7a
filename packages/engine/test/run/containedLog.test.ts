import { waitFor } from '@roundsman/testing'
import { pino, type Logger } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createJobsClient } from '../../src/client.ts'
import { defineJob, type RunContext } from '../../src/index.ts'
import { createWorker } from '../../src/worker.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const talks = defineJob({ name: 'talks', description: 'Writes a line.' })
const fails = defineJob({ name: 'fails', description: 'Fails.', retry: { limit: 0 } })
const jobs = [talks, fails] as const

let runtime: TestRuntime

beforeEach(async () => {
  runtime = await openTestRuntime(jobs)
})

afterEach(async () => {
  await runtime.close()
})

test('a logger of which every line fails costs no run, no round and no drain', async () => {
  const { url: databaseUrl, prisma } = runtime
  const log: Logger = pino(
    { level: 'trace' },
    {
      write() {
        throw new Error('the worker has exited')
      },
    },
  )
  const fatal: unknown[] = []
  const worker = createWorker({
    databaseUrl,
    client: prisma,
    jobs,
    log,
    onFatal: (error) => void fatal.push(error),
    handlers: {
      async talks({ log: own }: RunContext<Record<string, never>, unknown>) {
        own.info('a line')
      },
      async fails() {
        throw new Error('it failed')
      },
    },
  })
  try {
    await worker.start()
    const client = createJobsClient({ databaseUrl, log: runtime.log })
    await client.start()
    await client.enqueue(prisma, fails, {})
    await client.enqueue(prisma, talks, {})
    // What has lost workers says so when it waits to run alone.
    const suspect = JSON.stringify({ payload: {}, trigger: 'queue', lost: 2 })
    await runtime.rows(`insert into pgboss.job (name, data) values ('talks', $1)`, [suspect])
    await client.stop()
    const ends = async () =>
      (
        await runtime.rows<{ end: string }>(
          `select "name" || ' ' || "status"::text as end from "JobRun" where "endedAt" is not null order by 1`,
        )
      ).map(({ end }) => end)
    await waitFor(async () => (await ends()).length === 3)
    expect(await ends()).toEqual(['fails failed', 'talks success', 'talks success'])
    expect(worker.isReady()).toBe(true)
  } finally {
    await worker.stop({ drainTimeoutMs: 0 })
  }
  expect(fatal).toEqual([])
})
