// Processes: restarts PostgreSQL under workers.
import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createDatabaseClient, migrate } from '@roundsman/db'
import { acquireEmbeddedPostgres } from '@roundsman/local-postgres'
import { makeServerFolder, waitFor, type SpawnedProcess } from '@roundsman/testing'
import pg from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { createSchema } from '../../src/database/schema.ts'
import { notify, WORK_CHANNEL } from '../../src/database/channels.ts'
import { recogniseHost } from '../../src/database/callersTransaction.ts'
import { createWorker, runOnce, type Worker } from '../../src/worker.ts'
import { migrate as migrateEngine } from '../../src/migrate.ts'
import type { TransactionOf } from '../../src/index.ts'
import { CLEAR_TALLY, CREATE_TALLY, jobs, linger, tally, tallyHandlers } from '../fixtures/tally.ts'
import { countLines, spawnWorker, tallyQuestions } from '../tallyRuntime.ts'

const PATIENCE = { timeoutMs: 30_000 }
const GATED = { steps: 3, isGated: true, pauseMs: 0 }
const log = pino({ level: 'silent' })

let dataDir: string
let postgres: Awaited<ReturnType<typeof acquireEmbeddedPostgres>>
let directory: string
let url: string
let prisma: ReturnType<typeof createDatabaseClient>
let pool: pg.Pool
let client: JobsClient
let ask: ReturnType<typeof tallyQuestions>
let workers: SpawnedProcess[]
let inProcess: Worker | undefined

// A server of its own: the test run's one serves other tests at the same time.
const startServer = () =>
  acquireEmbeddedPostgres({ dataDir, settings: { fsync: 'off', full_page_writes: 'off' } })

async function restartServer(): Promise<void> {
  await postgres.release()
  postgres = await startServer()
}

beforeAll(async () => {
  dataDir = await makeServerFolder('roundsman-restart-')
  postgres = await startServer()
  ;({ url, directory } = postgres)
  await migrate(url)
  await migrateEngine({ schema: 'public', databaseUrl: url, log })
  prisma = createDatabaseClient({ url, applicationName: 'test', onPoolError: () => undefined })
  pool = new pg.Pool({ connectionString: url })
  pool.on('error', () => undefined)
  await pool.query(CREATE_TALLY)
  client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  await client.start()
  const rows = async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    (await pool.query<Row>(text, values)).rows
  ask = tallyQuestions({ url, prisma, rows }, () => client)
})

afterAll(async () => {
  await client.stop()
  await prisma.$disconnect()
  await pool.end()
  await postgres.release()
  await rm(directory, { recursive: true, force: true })
  if (dirname(directory) !== dataDir) await rm(dirname(directory), { recursive: true, force: true })
  await rm(dataDir, { recursive: true, force: true })
})

beforeEach(async () => {
  workers = []
  // The pools may still have to notice that their old connections are dead.
  await waitFor(() => pool.query(CLEAR_TALLY))
})

afterEach(async () => {
  await inProcess?.stop({ drainTimeoutMs: 0 })
  inProcess = undefined
  await Promise.all(workers.map((worker) => worker.kill('SIGKILL')))
})

async function startWorker(options: { drainTimeoutMs?: number } = {}): Promise<SpawnedProcess> {
  const worker = await spawnWorker(url, options)
  workers.push(worker)
  return worker
}

/** Starts a worker with a run of three batches, which has done one and waits. */
async function startBusyWorker(options: { drainTimeoutMs?: number } = {}): Promise<SpawnedProcess> {
  const worker = await startWorker(options)
  await ask.enqueue({ n: 1, ...GATED })
  await waitFor(async () => (await ask.runs())[0]?.details?.effects === 1)
  return worker
}

/** Inserts work without a notification, which only a round finds. */
async function waitForRoundOf(worker: SpawnedProcess): Promise<void> {
  const before = countLines(worker, 'job run started')
  await waitFor(() =>
    pool.query(
      `insert into "JobWork" ("id", "name", "bytes", "payload") values (gen_random_uuid(), 'tally', 40, $1)`,
      [{ n: 1_000, steps: 1, isGated: false }],
    ),
  )
  await waitFor(() => countLines(worker, 'job run started') > before)
}

async function expectOneRun(worker: SpawnedProcess): Promise<void> {
  await ask.openGate(1)
  await waitFor(
    async () => (await ask.runs(`"details" ->> 'batches' = '3'`))[0]?.status === 'success',
    PATIENCE,
  )
  const runs = await ask.runs(`"name" = 'tally'`)
  expect(runs.filter(({ attempt }) => attempt > 1)).toEqual([])
  expect(runs.filter(({ status }) => status === 'failed')).toEqual([])
  expect(runs.filter(ask.isRunBy(worker)).some(({ details }) => details?.effects === 3)).toBe(true)
  expect(await ask.miscounted()).toEqual([])
}

describe('a restart of PostgreSQL', { timeout: 90_000 }, () => {
  it('loses no run of the workers that come back, even when one is faster than another', async () => {
    const slow = await startBusyWorker()
    const fast = await startWorker()
    process.kill(slow.pid, 'SIGSTOP')
    await restartServer()
    await fast.waitForLine('session restored', PATIENCE)
    // By then it has looked for dead workers' runs, and seen that nobody holds the slow one's lock.
    await waitForRoundOf(fast)
    process.kill(slow.pid, 'SIGCONT')
    await slow.waitForLine('session restored', PATIENCE)

    await expectOneRun(slow)
  })

  it('loses no run when it was away long, and a new worker is there first', async () => {
    const patient = await startBusyWorker()
    await postgres.release()
    // By now it tries as seldom as it ever will.
    await waitFor(() => countLines(patient, 'reconnecting the session failed') >= 8, {
      timeoutMs: 60_000,
    })
    postgres = await startServer()
    inProcess = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: url,
      client: prisma,
      jobs,
      handlers: tallyHandlers(prisma),
      log,
    })
    await inProcess.start()
    await patient.waitForLine('session restored', PATIENCE)

    await expectOneRun(patient)
  })

  it('loses no run to another job that is started by hand at that moment', async () => {
    const slow = await startBusyWorker()
    process.kill(slow.pid, 'SIGSTOP')
    await restartServer()
    const handlers = tallyHandlers(prisma)
    const result = await runOnce({
      schema: 'public',
      databaseUrl: url,
      client: prisma,
      job: linger,
      handler: handlers.linger,
      log,
      signal: AbortSignal.abort(new Error('enough')),
    })
    expect(result).toMatchObject({ kind: 'ended' })
    process.kill(slow.pid, 'SIGCONT')
    await slow.waitForLine('session restored', PATIENCE)

    await expectOneRun(slow)
  })

  it('a run that ended meanwhile is recorded and settled as soon as it is back', async () => {
    const worker = await startBusyWorker({ drainTimeoutMs: 1 })
    await postgres.release()
    process.kill(worker.pid, 'SIGTERM')
    await worker.waitForLine('settling failed')
    postgres = await startServer()

    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await waitFor(() => ask.runs())).toMatchObject([
      { status: 'failed', attempt: 1, details: { effects: 1, error: { code: 'drained' } } },
    ])
    expect(await ask.queueStates()).toEqual(['retry'])
  })
})

describe('a standby that is away', { timeout: 90_000 }, () => {
  const by = { actor: 'somebody', reason: 'a test' }
  const configure = async (statement: string) => {
    await pool.query(statement)
    await pool.query('select pg_reload_conf()')
  }
  /** A transaction that does not wait for the standby itself, but only for others' locks. */
  const transaction = (work: (tx: TransactionOf<typeof prisma>) => Promise<unknown>) =>
    prisma.$transaction(async (tx) => {
      await tx.$executeRaw`set local synchronous_commit = local`
      return await work(tx)
    })

  it('holds up neither request nor worker behind the commit of somebody else who notifies', async () => {
    const { id } = await prisma.jobRun.create({
      data: { name: 'tally', trigger: 'queue', workerId: 'w1' },
    })
    const database = new URL(url).pathname.slice(1)
    await pool.query(`alter database "${database}" set synchronous_commit = local`)
    await startWorker()
    const hanging = new pg.Client({ connectionString: url })
    await hanging.connect()
    await hanging.query('set synchronous_commit = on')
    await configure(`alter system set synchronous_standby_names = 'nobody'`)
    let hasCommitted = false
    try {
      // A wake-up alone waits for no standby.
      await notify(recogniseHost(pool, createSchema('public')).connection, WORK_CHANNEL, ['tally'])
      let tables = 0
      const hang = async () => {
        hasCommitted = false
        // A commit that writes nothing would not wait.
        await hanging.query(`begin; create table hanging${tables++} (); notify anything`)
        await hanging.query('commit')
        hasCommitted = true
      }
      let commit = hang()
      await waitFor(async () => {
        // The server takes a moment to read its new configuration: a commit may have passed before.
        if (hasCommitted) commit = hang()
        const { rows } = await pool.query(
          `select from pg_stat_activity where wait_event = 'SyncRep' and query = 'commit'`,
        )
        return rows.length
      })
      const work = (n: number) => ({ n, steps: 1, isGated: false, pauseMs: 0 })
      await transaction((tx) => client.enqueue(tx, tally, work(1)))
      await transaction((tx) => client.enqueue(tx, tally, work(2), { uniqueKey: 'one' }))
      await transaction((tx) => client.enqueueMany(tx, tally, [{ payload: work(3) }]))
      await transaction((tx) => client.requestRun(tally, { ...by, payload: work(4) }, { tx }))
      expect(await transaction((tx) => client.cancelRun(id, by, { tx }))).toBe('requested')
      // The worker's writes wait for no standby either, and wait for others' locks for at most a second.
      await waitFor(async () => (await ask.runs(`"status" = 'success'`)).length === 4, PATIENCE)
      await client.stop()
      client = createJobsClient({ schema: 'public', databaseUrl: url, log })
      await client.start()
      // pg_notify waits for a lock in its implicit commit, where the server ends nothing but such a wait: otherwise one
      // connection after another would hang.
      await waitFor(
        async () => {
          const { rows } = await pool.query(
            `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%pg_notify%' and pid <> pg_backend_pid()`,
          )
          return rows.length === 0
        },
        { timeoutMs: 10_000 },
      )
      expect(hasCommitted).toBe(false)
      await configure('alter system reset synchronous_standby_names')
      await commit
    } finally {
      await configure('alter system reset synchronous_standby_names')
      await hanging.end()
      await pool.query(`alter database "${database}" reset synchronous_commit`)
    }
    await prisma.jobRun.delete({ where: { id } })
  })
})
