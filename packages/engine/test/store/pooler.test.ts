// Processes: kills workers.
import { createDatabaseClient } from '@roundsman/db'
import { createPooler, type Pooler, spawnProcess, waitFor } from '@roundsman/testing'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createJobsClient, getWork } from '../../src/client.ts'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { createWorker, runOnce } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { CREATE_EFFECTS, drip, dripHandler, EFFECTS } from '../fixtures/drip.ts'
import { readRuns } from '../readRuns.ts'

const WORKER = new URL('../fixtures/workerProcess.ts', import.meta.url).pathname

const { runtime, client } = useClientRuntime()
let pooler: Pooler

beforeAll(async () => {
  await runtime.rows(CREATE_EFFECTS)
  pooler = await createPooler(runtime.url)
})

afterAll(async () => {
  await pooler.close()
})

const runs = () => readRuns(runtime)

describe('behind a transaction pooler', () => {
  it('a producer enqueues in its transaction', async () => {
    const { url, log } = runtime
    const producer = createJobsClient({ schema: 'public', databaseUrl: pooler.url, log })
    await producer.start()
    const behind = createDatabaseClient({
      url: pooler.url,
      applicationName: 'test',
      onPoolError: () => undefined,
    })
    const { workId } = await behind.$transaction((tx) => producer.enqueue(tx, drip, {}))

    expect(pooler.url).not.toBe(url)
    expect(await getWork(producer.reader, drip, workId)).toMatchObject({ kind: 'waiting' })
    await runtime.rows('delete from "JobWork"')
    await producer.stop()
    await behind.$disconnect()
  })

  it('a producer enqueues in a transaction of postgres.js, without prepared statements', async () => {
    const { log } = runtime
    const producer = createJobsClient({ schema: 'public', databaseUrl: pooler.url, log })
    const sql = postgres(pooler.url, { prepare: false })
    const rolledBack = sql.begin(async (tx) => {
      await producer.enqueue(tx, drip, {})
      throw new Error('not this one')
    })
    await expect(rolledBack).rejects.toThrow('not this one')
    const { workId } = await sql.begin((tx) => producer.enqueue(tx, drip, {}))

    const waiting = await runtime.rows<{ id: string }>('select id from "JobWork"')
    expect(waiting.map(({ id }) => id)).toEqual([workId])
    await runtime.rows('delete from "JobWork"')
    await producer.stop()
    await sql.end()
  })

  it('who watches for changes is told to look again', async () => {
    let gaps = 0
    const watch = watchChanges({
      schema: 'public',
      databaseUrl: pooler.url,
      log: runtime.log,
      onChange: () => undefined,
      onGap: () => gaps++,
    })

    await waitFor(() => gaps > 1, { timeoutMs: 30_000 })
    expect(runtime.lines).toContainEqual(
      expect.objectContaining({
        msg: expect.stringContaining('live pages read everything again'),
      }),
    )
    expect(watch.isLasting()).toBe(false)
    await watch.close()
  })

  it('a job is run by hand', async () => {
    const behind = createDatabaseClient({
      url: pooler.url,
      applicationName: 'test',
      onPoolError: () => undefined,
    })
    const result = await runOnce({
      schema: 'public',
      databaseUrl: pooler.url,
      client: behind,
      job: drip,
      handler: dripHandler,
      log: runtime.log,
    })

    expect(result).toMatchObject({
      kind: 'ended',
      run: { status: 'success', details: { effects: EFFECTS } },
    })
    await runtime.rows('truncate "Effect", "JobRun"')
    await behind.$disconnect()
  })

  it('a worker says so, works, is left alone while its heart beats, and is rescued when it does not', async () => {
    const victim = spawnProcess(WORKER, { args: [pooler.url] })
    expect(await victim.waitForLine('heartbeat every')).toContain('transaction pooler')
    await victim.waitForLine('Jobs scheduler enabled')
    expect(await runtime.rows('select "liveness" from "JobWorker"')).toEqual([
      { liveness: 'heartbeat' },
    ])

    // Without notifications, workers find work by looking.
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, drip, {}))
    await waitFor(async () => (await runs())[0]?.details?.effects)
    const worker = createWorker({
      ...runtime.workerOptions,
      jobs: [drip],
      handlers: { drip: dripHandler },
    })
    await worker.start()
    await runtime.rows(
      `with run as (
         insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt")
         values (gen_random_uuid(), 'drip', 'cli', 'gone', '2026-01-01') returning "id"
       )
       insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       select gen_random_uuid(), 'drip', 'gone', '2026-01-01', now() + interval '1 day', array["id"], array[now()] from run`,
    )
    // The other worker has looked for dead workers, and rescued this run.
    await waitFor(async () => (await runs())[0]?.status === 'failed')
    expect((await runs())[1]).toMatchObject({ status: 'running' })
    await runtime.rows(`delete from "JobRun" where "workerId" = 'gone'`)
    await victim.kill('SIGKILL')
    // It writes no heartbeat any more, but only an old heartbeat makes it dead.
    expect(await runs()).toMatchObject([{ status: 'running' }])
    await runtime.rows(
      `update "JobWorker" set "heartbeatAt" = now() - interval '31 s' where "liveness" = 'heartbeat'`,
    )

    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'), {
      timeoutMs: 20_000,
    })
    const [lost, second] = await runs()
    expect(lost).toMatchObject({ status: 'failed', details: { error: { code: 'worker_lost' } } })
    expect(second).toMatchObject({ status: 'success', attempt: 2, workerId: worker.id })
    expect((lost?.details?.effects ?? 0) + (second?.details?.effects ?? 0)).toBe(EFFECTS)
    await worker.stop()
  })
})
