// Not quick: starts a worker again and again.
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { cleanupI18nCache, cleanupPreviewSessions } from '@roundsman/jobs'
import { readVersion } from '@roundsman/node-app'
import { createTestDatabase, makeEnvironment, openMonitor, waitFor } from '@roundsman/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runWorker } from '../src/runWorker.ts'
import { enqueue } from './enqueue.ts'
import { openWorkerDatabase } from './openWorkerDatabase.ts'
import { useWorkerDatabase } from './useWorkerDatabase.ts'
import { startWorkerHere, workerEnvironment } from './startWorkerProcess.ts'

const { database, runs, queueState } = useWorkerDatabase()

describe('at work', () => {
  it('runs what is enqueued, with the age that the environment gives', async () => {
    const createdAt = new Date(Date.now() - 5 * 86_400_000)
    const entry = { locale: 'en', key: 'hello', value: 'Hello' }
    await database.prisma.i18nCacheEntry.create({ data: { ...entry, createdAt } })
    const id = await enqueue(database, cleanupI18nCache)
    const worker = await startWorkerHere(database, { I18N_CACHE_MAX_AGE_DAYS: '4' })

    expect(await worker.waitForMessage('job run finished')).toMatchObject({
      name: 'cleanupI18nCache',
      details: { cleaned: 1, batches: 1 },
    })
    expect(await queueState(id)).toBeUndefined()
    expect(await runs()).toMatchObject([{ trigger: 'queue', workId: id, scheduledFor: null }])
  })

  it('logs nothing of the keys and addresses of the connections that it loses', async () => {
    await enqueue(database, cleanupI18nCache)
    const worker = await startWorkerHere(database, { LOG_LEVEL: 'trace' })
    // From then on Prisma has connections of its own as well.
    await worker.waitForMessage('job run finished')
    await database.prisma.$queryRaw`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'roundsman%'`
    await worker.waitForMessage('database connection lost')
    await worker.waitForMessage('session lost, reconnecting')
    await worker.stop()
    const { password } = new URL(database.url)
    expect(password).not.toBe('')
    const secrets = ['secretKey', 'connectionParameters', 'postgres://', 'postgresql://', password]
    const telling = worker.lines.filter((line) => secrets.some((secret) => line.includes(secret)))
    expect(telling).toEqual([])
  })

  it('is not ready while its database is away, and works again when that is back', async () => {
    const worker = await startWorkerHere(database)
    await worker.waitForMessage('Jobs scheduler enabled')
    // No connection can close its own database.
    const elsewhere = await openWorkerDatabase()
    onTestFinished(() => elsewhere.close())
    const name = new URL(database.url).pathname.slice(1)
    const open = (isOpen: boolean) =>
      elsewhere.prisma.$executeRawUnsafe(`alter database "${name}" allow_connections ${isOpen}`)

    await open(false)
    await elsewhere.prisma.$queryRaw`
      select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
    await waitFor(async () => (await worker.status('/health/ready')) === 503)
    expect(await worker.status('/health/live')).toBe(200)
    await open(true)
    await waitFor(async () => (await worker.status('/health/ready')) === 200)

    await enqueue(database, cleanupPreviewSessions)
    expect(await worker.waitForMessage('job run finished')).toMatchObject({ status: 'success' })
  })
})

it('with JOBS_ENABLED=false stays up, schedules nothing and executes nothing', async () => {
  const id = await enqueue(database, cleanupI18nCache)
  const worker = await startWorkerHere(database, { JOBS_ENABLED: 'false' })
  expect(await worker.waitForMessage('Jobs scheduler disabled')).toMatchObject({
    reason: 'JOBS_ENABLED=false',
  })
  await waitFor(async () => (await worker.status('/health/ready')) === 200)
  // Without a connection it can neither take work nor decide a tick, now or later.
  await waitFor(
    async () =>
      (
        await database.prisma.$queryRaw<object[]>`
          select from pg_stat_activity
          where datname = current_database() and application_name <> 'tests'`
      ).length === 0,
  )
  const text = await (await fetch(`${worker.url}/metrics`)).text()
  expect(text).toContain('roundsman_worker_ready{app="worker"} 0')
  expect(await queueState(id)).toBe('created')
  expect(await database.prisma.jobSchedule.count()).toBe(0)
})

describe('metrics', () => {
  it('say what the process has done and what there is to do', async () => {
    const worker = await startWorkerHere(database, { METRICS_TOKEN: undefined })
    await worker.waitForMessage('Jobs scheduler enabled')
    await enqueue(database, cleanupI18nCache)
    await worker.waitForMessage('job run finished')

    const text = await (await fetch(`${worker.url}/metrics`)).text()
    const valueOf = (name: string, ...labels: string[]) => {
      const line = text
        .split('\n')
        .find(
          (each) => each.startsWith(`${name}{`) && labels.every((label) => each.includes(label)),
        )
      return line === undefined ? undefined : Number(line.split(' ').at(-1))
    }
    const job = 'job_name="cleanupI18nCache"'
    expect(valueOf('roundsman_job_runs_total', job, 'outcome="success"')).toBe(1)
    expect(valueOf('roundsman_job_run_duration_seconds_count', job)).toBe(1)
    expect(valueOf('roundsman_queue_depth', job, 'state="ready"')).toBe(0)
    expect(valueOf('roundsman_queue_depth', 'job_name="dispatchEmail"', 'dead_letter')).toBe(0)
    expect(valueOf('roundsman_worker_ready')).toBe(1)
    expect(valueOf('roundsman_claim_size_sum')).toBe(1)
    expect(valueOf('roundsman_settle_size_sum')).toBe(1)
    expect(valueOf('roundsman_db_pool_max_connections', 'pool="engine"')).toBe(10)
    expect(valueOf('roundsman_db_pool_connections', 'pool="prisma"')).toBeDefined()
    expect(valueOf('roundsman_build_info', `version="${readVersion(import.meta.dirname)}"`)).toBe(1)
  })
})

describe('pings', () => {
  it('tell of each run, and the address stays between the two', async () => {
    const monitor = await openMonitor()
    const PING = { CLEANUP_I18N_CACHE_PING_URL: monitor.url.href }
    const worker = await startWorkerHere(database, PING)
    await worker.waitForMessage('Jobs scheduler enabled')
    await enqueue(database, cleanupI18nCache)
    await worker.waitForMessage('job run finished')
    expect(await worker.stop()).toBe(0)

    const [{ id: rid } = { id: '' }] = await runs()
    expect(monitor.pings).toEqual([
      `POST /check/start?rid=${rid} attempt 1`,
      expect.stringMatching(
        new RegExp(`^POST /check\\?rid=${rid} success in \\d+ ms, .*cleaned 0.*, attempt 1$`),
      ),
    ])
    expect(worker.lines.join('')).not.toContain(monitor.url.host)
  })
})

describe('says what keeps it from starting, without a stack, and exits with 1', () => {
  /** The lines of the last failure. */
  let logged: string[] = []

  async function failure(
    extra: Record<string, string | undefined>,
    { url } = database as { url: string },
  ): Promise<string[]> {
    logged = []
    const told: string[] = []
    const code = await runWorker({
      variables: makeEnvironment(workerEnvironment({ url }, extra)),
      stderr: { write: (text) => told.push(text) },
      logDestination: { write: (line) => void logged.push(line) },
      listenForStop: () => new AbortController().signal,
    })
    expect(code).toBe(1)
    return problemsIn(logged, told.join('').split('\n').slice(0, -1))
  }

  function problemsIn(lines: string[], [heading, ...problems]: string[]): string[] {
    expect(lines.join('\n')).not.toContain('Jobs scheduler')
    expect(heading).toBe('The environment needs attention:')
    return problems
  }

  async function takePort(): Promise<number> {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    return (other.address() as AddressInfo).port
  }

  it('alerts that cannot be opened, before it takes work', async () => {
    const id = await enqueue(database, cleanupI18nCache)
    // Longer than any address of a console.
    const failing = failure({
      ALERT_WEBHOOK_URL: 'http://127.0.0.1:9',
      ALERT_CONSOLE_URL: `http://127.0.0.1:9/${'a'.repeat(10_000)}`,
    })
    await expect(failing).rejects.toThrow('consoleUrl must have at most 10000 characters')
    expect(await queueState(id)).toBe('created')
    expect(await runs()).toEqual([])
  })

  it('a taken port and an unreachable database, both', async () => {
    const DATABASE_URL = 'postgresql://me:hunter2@127.0.0.1:1/shop'
    const port = await takePort()

    expect(await failure({ DATABASE_URL, WORKER_PORT: String(port) })).toEqual([
      expect.stringContaining(`WORKER_PORT: ${port} is taken`),
      expect.stringContaining('DATABASE_URL: nothing listens'),
    ])
  })

  it('a database that is not migrated', async () => {
    const empty = await createTestDatabase({ migrated: false })
    onTestFinished(() => empty.drop())

    expect(await failure({}, empty)).toEqual([
      expect.stringMatching(
        /^ {2}- DATABASE_URL: the database lacks \d+_product, .*pnpm db:migrate$/,
      ),
    ])
  })

  it("a database that lacks the queue's tables", async () => {
    const withoutQueue = await createTestDatabase({ withQueue: false })
    onTestFinished(() => withoutQueue.drop())

    expect(await failure({}, withoutQueue)).toEqual([
      expect.stringMatching(
        /^ {2}- DATABASE_URL: Roundsman's tables .* are missing; .*pnpm db:migrate$/,
      ),
    ])
  })
})
