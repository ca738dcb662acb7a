// Not quick: starts and stops whatever holds connections.
import { createHook } from 'node:async_hooks'
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { createAlertWatcher } from '../../src/alerts.ts'
import { createJobsClient, openReader } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { createSession } from '../../src/liveness/session.ts'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { openTestJobs } from '../../src/testing.ts'
import { nodeCronClock } from '../../src/tick/clock.ts'
import { createWorker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const letter = defineJob({ name: 'letter', schedule: { cron: '* * * * * *' } })
const jobs = [letter] as const
const nothing = () => undefined

const runtime = useTestRuntime()
let observer: pg.Client
/** The host's. Its own timers are no concern of ours: it has none. */
let host: pg.Pool

beforeAll(async () => {
  observer = new pg.Client(runtime.url)
  await observer.connect()
  host = new pg.Pool({ connectionString: runtime.url, idleTimeoutMillis: 0 })
})

afterAll(async () => {
  await host.end()
  await observer.end()
})

/** The timers that the engine has made and that may still fire, also those that keep no process alive. */
const timers = new Map<number, string>()
const hook = createHook({
  init(id, type) {
    if (type !== 'Timeout') return
    const { stack = '' } = new Error('made here')
    const maker = stack.split('\n').find((line) => /packages\/(?!testing)\w+\/src\//.test(line))
    if (maker !== undefined) timers.set(id, maker.trim())
  },
  destroy: (id) => void timers.delete(id),
})

afterEach(() => {
  hook.disable()
  timers.clear()
})

/** Who is connected by one of the engine's own names, beside the runtime of the test. */
const connected = async () =>
  (
    await observer.query<{ who: string }>(
      `select application_name as who from pg_stat_activity
       where datname = current_database() and application_name like 'roundsman %'`,
    )
  ).rows.map(({ who }) => who)

interface Stoppable {
  /** Whether it is at work, so that it is stopped in the middle of that. */
  isBusy?: () => unknown
  stop: () => Promise<unknown>
}

const open = (applicationName: string) =>
  openDatabase({
    url: runtime.url,
    applicationName,
    schema: createSchema('public'),
    log: runtime.log,
  })

const makeWorker = (handler: () => Promise<void>, clock = nodeCronClock) =>
  createWorker({
    databaseUrl: runtime.url,
    schema: 'public',
    client: host,
    jobs,
    handlers: { letter: handler },
    log: runtime.log,
    alerts: { channels: [] },
    clock,
  })

const MAKERS: Record<string, () => Promise<Stoppable>> = {
  'a worker that runs': async () => {
    let calls = 0
    const worker = makeWorker(async () => void calls++)
    await worker.start()
    return { isBusy: () => calls > 0, stop: () => worker.stop() }
  },
  'a worker whose run does not end': async () => {
    let calls = 0
    const worker = makeWorker(() => new Promise(() => void calls++))
    await worker.start()
    return { isBusy: () => calls > 0, stop: () => worker.stop({ drainTimeoutMs: 0 }) }
  },
  'a worker that is stopped at the end of its start': async () => {
    let stopping: Promise<void> | undefined
    const worker = makeWorker(
      async () => undefined,
      (...given) => {
        stopping = worker.stop()
        return nodeCronClock(...given)
      },
    )
    await worker.start()
    expect(worker.isReady()).toBe(false)
    return { stop: async () => stopping }
  },
  'a client that watches, wakes and waits': async () => {
    const client = createJobsClient({
      databaseUrl: runtime.url,
      schema: 'public',
      log: runtime.log,
    })
    await client.start()
    client.watchChanges({ onChange: nothing, onGap: nothing })
    const { workId } = await client.enqueueNow(letter, {})
    const waiting = client.result(letter, workId, { timeoutMs: Infinity }).catch(nothing)
    return {
      isBusy: () => client.areConnectionsLasting(),
      stop: async () => Promise.all([client.stop(), waiting]),
    }
  },
  'a reader': async () => {
    const reader = openReader({ databaseUrl: runtime.url, schema: 'public', log: runtime.log })
    await reader.rows({ text: 'select 1' })
    return { stop: () => reader.close() }
  },
  'a watcher of alerts': async () => {
    const watcher = createAlertWatcher({
      databaseUrl: runtime.url,
      schema: 'public',
      jobs,
      channels: [],
      log: runtime.log,
    })
    watcher.start()
    return { stop: () => watcher.stop() }
  },
  'a watch of changes that connects': async () => {
    const watch = watchChanges({
      databaseUrl: runtime.url,
      log: runtime.log,
      onChange: nothing,
      onGap: nothing,
    })
    return { stop: () => watch.close() }
  },
  'a pool with a transaction under way': async () => {
    const database = open('roundsman pool')
    let isOpen = false
    void database.transaction(async (tx) => {
      await tx.query('select 1')
      isOpen = true
      await new Promise(nothing)
    })
    return { isBusy: () => isOpen, stop: () => database.close({ timeoutMs: 100 }) }
  },
  'a session that had to beat during a long round': async () => {
    const database = open('roundsman beside a session')
    const session = createSession({
      url: runtime.url,
      database,
      workerId: 'one',
      log: runtime.log,
    })
    await session.start()
    await session.query('select pg_sleep(5.5)')
    // Its answer comes after the beat's.
    await session.query('select 1')
    return { stop: () => session.stop().then(() => database.close()) }
  },
  'the jobs of a test': async () => {
    const test = await openTestJobs({
      databaseUrl: runtime.url,
      client: host,
      jobs,
      handlers: { letter: async () => undefined },
    })
    await test.enqueueNow(letter, {})
    await test.drain()
    return { stop: () => test.close() }
  },
}

it.each(Object.entries(MAKERS))(
  '%s leaves no timer and no connection once it has stopped, and so sends nothing more',
  async (_, make) => {
    hook.enable()
    const { isBusy = () => true, stop } = await make()
    await waitFor(isBusy)
    await stop()
    // Node tells a few turns later of a timer that was cleared.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect([...timers.values()]).toEqual([])
    // A closed socket is news to PostgreSQL a moment later.
    await waitFor(async () => (await connected()).length === 0, { timeoutMs: 5_000 })
  },
)
