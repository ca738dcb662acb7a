// Not quick: starts processes.
import { spawnProcess, waitFor, type Proxy } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import type { Connection } from '../../src/database/database.ts'
import { settlesWithin } from '../../src/database/settlesWithin.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'
import { drip } from '../fixtures/drip.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { openProxyTo } from '../openProxyTo.ts'

const QUIET = new URL('../fixtures/quietProcess.ts', import.meta.url).pathname
const DRAIN_TIMEOUT_MS = 300
/** What the worker promises, and some more for a busy machine. */
const BOUND_MS = DRAIN_TIMEOUT_MS + 15_000 + 1_500

const task = defineJob({ name: 'task' })
const limited = defineJob({
  name: 'limited',
  rateLimit: { limit: 100, perMs: 1_000 },
})
const ticking = defineJob({ name: 'ticking', schedule: { cron: '* * * * * *' } })
const jobs = [task, limited, ticking] as const

interface Stage {
  runtime: TestRuntime
  client: JobsClient
  proxy: Proxy
  worker: Worker
  /** Lets the handlers end that are under way. */
  openGate(): void
  /** How many handlers have begun, those of ticks not counted. */
  begun(): number
  /** Takes a lock that makes a statement of the worker wait, until the test is over. */
  hold(statement: string, values?: unknown[]): Promise<void>
  /** Resolves once one of the worker's statements waits in the server. */
  waits(text: string): Promise<unknown>
}

async function openStage(onTestFinished: TestContext['onTestFinished']): Promise<Stage> {
  const runtime = await openTestRuntime()
  const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await client.start()
  const { proxy, url } = await openProxyTo(runtime.url)
  let openGate: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (openGate = resolve))
  let begun = 0
  const handle = async () => {
    begun++
    await gate
  }
  const worker = createWorker({
    ...runtime.workerOptions,
    databaseUrl: url,
    jobs,
    handlers: { task: handle, limited: handle, ticking: () => gate },
    drainTimeoutMs: DRAIN_TIMEOUT_MS,
  })
  await worker.start()
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const held: Promise<unknown>[] = []
  onTestFinished(async () => {
    release()
    openGate()
    proxy.close()
    await Promise.all(held)
    await client.stop()
    await runtime.close()
  })
  return {
    runtime,
    client,
    proxy,
    worker,
    openGate,
    begun: () => begun,
    hold: (statement, values) =>
      new Promise((resolve, reject) => {
        const holding = runtime.database.transaction(async (tx: Connection) => {
          await tx.query(statement, values)
          resolve()
          await released
        })
        held.push(holding.catch(reject))
      }),
    waits: (text) => waitFor(() => countLockWaits(runtime, { text })),
  }
}

const enqueue = ({ client }: Stage, job: typeof task | typeof limited = task) =>
  client.enqueueNow(job, {})

/** What is under way when the database stops answering. */
const SITUATIONS: Record<string, (stage: Stage) => Promise<unknown>> = {
  'nothing, or a round': async () => undefined,
  'a claim': async (stage) => {
    await stage.hold('lock table "JobClaim" in share mode')
    await enqueue(stage)
    await stage.waits('alive as materialized')
  },
  'a claim of a job with a rate limit': async (stage) => {
    await stage.hold('lock table "JobThrottle" in share mode')
    await enqueue(stage, limited)
    await stage.waits('alive as materialized')
  },
  'a run': async (stage) => {
    await enqueue(stage)
    await waitFor(() => stage.begun() > 0)
  },
  'a settlement': async (stage) => {
    await enqueue(stage)
    await waitFor(() => stage.begun() > 0)
    await stage.hold('lock table "JobRun" in share mode')
    stage.openGate()
    await stage.waits('insert into "JobRun"')
  },
  'a tick': async (stage) => {
    await stage.hold('lock table "JobTick" in share mode')
    await stage.waits('insert into "JobTick"')
  },
}

const SILENCES: Record<string, (stage: Stage) => void> = {
  'falls silent': ({ proxy }) => proxy.goHalfOpen(),
  'refuses connections': ({ proxy }) => {
    proxy.refuse(() => true)
    proxy.cut()
  },
  'lets it wait': () => undefined,
}

const CASES = Object.keys(SITUATIONS).flatMap((situation) =>
  Object.keys(SILENCES).map((silence) => [situation, silence] as const),
)

describe('a drain within its bound', { concurrent: true, timeout: 120_000 }, () => {
  it.for(CASES)(
    'with %s under way, while the database %s',
    async ([situation, silence], { onTestFinished }) => {
      const stage = await openStage(onTestFinished)
      await SITUATIONS[situation]!(stage)
      SILENCES[silence]!(stage)
      expect(await settlesWithin(stage.worker.stop(), BOUND_MS)).toBe(true)
      await waitFor(() => stage.worker.connections().total === 0)
    },
  )
})

describe(
  'a process whose worker has stopped while the database was silent',
  { concurrent: true },
  () => {
    let runtime: TestRuntime

    beforeAll(async () => {
      runtime = await openTestRuntime()
    })
    afterAll(() => runtime.close())

    it('has nothing left to do, and ends', { timeout: 60_000 }, async () => {
      const { proxy, url } = await openProxyTo(runtime.url)
      const worker = spawnProcess(QUIET, { args: [url] })
      await worker.waitForLine('Jobs scheduler enabled')
      const client = createJobsClient({
        schema: 'public',
        databaseUrl: runtime.url,
        log: runtime.log,
      })
      await client.start()
      await client.enqueueNow(drip, {})
      await worker.waitForLine('job run started')
      proxy.goHalfOpen()
      process.kill(worker.pid, 'SIGTERM')
      await worker.waitForLine('all stopped', { timeoutMs: 20_000 })
      expect(await worker.exited).toEqual({ code: 0, signal: null })
      await client.stop()
      proxy.close()
    })
  },
)

describe('a start that fails midway', () => {
  it('leaves nothing open', { timeout: 30_000 }, async () => {
    const runtime = await openTestRuntime()
    await runtime.rows('alter table "JobSchedule" rename column "cursor" to "away"')
    const nightly = defineJob({ name: 'nightly', schedule: { cron: '0 3 * * *' } })
    const worker = createWorker({
      ...runtime.workerOptions,
      jobs: [nightly],
      handlers: { nightly: async () => undefined },
    })
    await expect(worker.start()).rejects.toThrow('cursor')
    expect(worker.connections()).toMatchObject({ total: 0 })
    await waitFor(
      async () =>
        (
          await runtime.rows(
            `select from pg_stat_activity where application_name like 'roundsman ' || $1 || '%'`,
            [worker.id],
          )
        ).length === 0,
    )
    expect(await runtime.rows('select from "JobWorker"')).toEqual([])
    await worker.stop()
    await runtime.close()
  })
})
