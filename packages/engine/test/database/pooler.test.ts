// Processes: kills workers.
import { createDatabaseClient } from '@roundsman/db'
import { createPooler, type Pooler, spawnProcess, waitFor } from '@roundsman/testing'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createJobsClient, getWork } from '../../src/client.ts'
import { findPooler, knownPooler } from '../../src/database/findPooler.ts'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { createWorker, runOnce } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { openBeside } from '../openBeside.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { CREATE_EFFECTS, drip, dripHandler } from '../fixtures/drip.ts'
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

    await waitFor(() => gaps > 0, { timeoutMs: 20_000 })
    expect(runtime.lines).toContainEqual(
      expect.objectContaining({
        msg: expect.stringContaining('live pages read everything again'),
      }),
    )
    expect(watch.isLasting()).toBe(false)
    await watch.close()
  })

  const refused = { name: 'PoolerError', message: expect.stringContaining('is a pooler') as string }

  it('a worker and a run by hand refuse, name the address to use, and leave no lock', async () => {
    const { port } = new URL(runtime.url)
    const settings = { ...runtime.workerOptions, databaseUrl: pooler.url }
    const worker = createWorker({ ...settings, jobs: [drip], handlers: { drip: dripHandler } })
    await expect(worker.start()).rejects.toMatchObject(refused)
    const byHand = { schema: 'public', job: drip, handler: dripHandler, log: runtime.log }
    const run = runOnce({ ...byHand, databaseUrl: pooler.url, client: runtime.prisma })
    await expect(run).rejects.toThrow(`@127.0.0.1:${port}/`)
    await expect(run).rejects.not.toThrow(new URL(runtime.url).password || 'no password')

    expect(await runtime.rows('select from "JobWorker"')).toEqual([])
    const locks = `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
    expect(await runtime.rows(locks)).toEqual([])
  })
})

describe('behind a session pooler that ignores the settings asked for', () => {
  it('a worker works, has its settings, and is rescued at once', async () => {
    const sessions = await createPooler(runtime.url, { mode: 'session' })
    onTestFinished(sessions.close)
    const victim = spawnProcess(WORKER, { args: [sessions.url] })
    await victim.waitForLine('Jobs scheduler enabled')
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, drip, {}))
    await waitFor(async () => (await runs())[0]?.details?.effects)
    const worker = await startTestWorker(runtime, { jobs: [drip], handlers: { drip: dripHandler } })
    await victim.kill('SIGKILL')

    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'))
    const [lost, second] = await runs()
    expect(lost).toMatchObject({ status: 'failed', details: { error: { code: 'worker_lost' } } })
    expect(second).toMatchObject({ status: 'success', attempt: 2, workerId: worker.id })

    const database = openBeside(runtime, { url: sessions.url, isSession: true, lockTimeoutMs: 500 })
    const { rows } = await database.query({
      name: 'settings',
      text: `select array(select current_setting(name) from unnest('{statement_timeout,lock_timeout,enable_seqscan}'::text[]) name) as "all"`,
    })
    expect(rows).toEqual([{ all: ['10s', '500ms', 'off'] }])
  })
})

describe('findPooler', () => {
  it('takes a server itself for none, however busy', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => findPooler(runtime.url)))
    expect(all).toEqual([null, null, null, null, null])
  })
})

describe('knownPooler', () => {
  it.each([
    [
      'postgresql://me:secret@ep-cool-1-pooler.eu-central-1.aws.neon.tech/app?sslmode=require',
      "use Neon's direct address, postgresql://me@ep-cool-1.eu-central-1.aws.neon.tech/app",
    ],
    [
      'postgresql://postgres.ref:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres',
      "use Supabase's session mode, postgresql://postgres.ref@aws-0-eu-central-1.pooler.supabase.com/postgres",
    ],
    [
      'postgresql://me:secret@10.0.0.7:6432/app',
      "use PostgreSQL's own address, such as postgresql://me@10.0.0.7/app, or a pooler's session mode (in PgBouncer pool_mode = session)",
    ],
    ['postgresql://me:secret@ep-cool-1.eu-central-1.aws.neon.tech/app', null],
    ['postgresql://postgres.ref@aws-0-eu-central-1.pooler.supabase.com:5432/postgres', null],
    ['postgresql://me@localhost/app', null],
    ['/var/run/postgresql app', null],
  ])('of %s', (url, remedy) => {
    expect(knownPooler(url)).toBe(remedy)
  })
})
