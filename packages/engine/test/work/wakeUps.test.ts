// Not quick: waits for answers that never come.
import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { createListener } from '../../src/database/listener.ts'
import { CANCEL_CHANNEL, WORK_CHANNEL } from '../../src/database/channels.ts'
import { sqlOf, type Connection } from '../../src/database/database.ts'
import { createWaker } from '../../src/database/waker.ts'
import { createWakeUps, type WakeUps } from '../../src/work/wakeUps.ts'
import { countCosts } from '../countCosts.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

const letter = defineJob({
  name: 'letter',
  payload: z.object({ n: z.number() }),
})
const parcel = defineJob({ name: 'parcel' })
const VANISHED = { answerTimeoutMs: 10_000, vanishedAfterMs: 15_000 }

const runtime = useTestRuntime()
let client: JobsClient
let wakeUps: WakeUps
let listener: ReturnType<typeof createListener>
/** In the order in which they came. */
let payloads: string[]
/** The jobs that the worker was told to look at. */
let told: string[]
let looks = 0
/** The transactions that the last look asked about. */
let askedAbout: unknown

const RECEIVER = {
  isWanted: (subject: string) => subject !== 'unknown',
  onCommitted: (subject: string) => void told.push(subject),
}

beforeAll(async () => {
  const { url, log, database } = runtime
  client = createJobsClient({ schema: 'public', databaseUrl: url, log })
  await client.start()
  wakeUps = createWakeUps({
    ...database,
    query(...of) {
      looks++
      askedAbout = of[1]?.[0]
      return database.query<never>(...of)
    },
  })
  listener = createListener({ url, applicationName: 'test', ...VANISHED, log })
  const receive = (payload: string) => {
    payloads.push(payload)
    wakeUps.receive(payload, RECEIVER)
  }
  for (const channel of [WORK_CHANNEL, CANCEL_CHANNEL]) {
    await listener.listen(channel, receive, () => undefined)
  }
})

afterAll(async () => {
  wakeUps.stop()
  await listener.stop()
  await client.stop()
})

beforeEach(() => {
  payloads = []
  told = []
})

/** Keeps a transaction open until it is told to end. */
async function holdOpen(work: (tx: never) => Promise<unknown>) {
  const end = Promise.withResolvers<void>()
  const isDone = Promise.withResolvers<void>()
  const ended = runtime.prisma.$transaction(
    async (tx) => {
      await work(tx as never)
      isDone.resolve()
      await end.promise
    },
    { timeout: 20_000 },
  )
  await isDone.promise
  return {
    commit: () => (end.resolve(), ended),
    rollBack: () => (end.reject(new Error('changed my mind')), ended.catch(() => undefined)),
  }
}

const enqueue = (tx: never, n = 1) => client.enqueue(tx, letter, { n })

describe('a worker', () => {
  it('is told of what a client enqueues by itself at once, in the words of earlier versions', async () => {
    await client.enqueueNow(letter, { n: 1 })
    await waitFor(() => told.length)
    expect(payloads).toEqual(['letter'])
    expect(told).toEqual(['letter'])
  })

  it('probes whether it still hears, and listens anew when nothing comes back', async () => {
    const { proxy, url } = await openProxyTo(runtime.url)
    let reconnects = 0
    const probing = createListener({
      url,
      applicationName: 'probing',
      answerTimeoutMs: 2_000,
      vanishedAfterMs: 15_000,
      probeMs: 20,
      log: runtime.log,
    })
    /** The server keeps the connection that nothing comes back on. */
    const areProbed = (connections: number) =>
      waitFor(async () => {
        const probed = await runtime.rows(
          `select from pg_stat_activity where application_name = 'probing' and datname = current_database() and query = ''`,
        )
        return probed.length === connections
      })
    try {
      await probing.listen(
        WORK_CHANNEL,
        () => undefined,
        () => reconnects++,
      )
      await areProbed(1)
      expect(reconnects).toBe(0)
      proxy.forget()
      await waitFor(() => reconnects === 1, { timeoutMs: 20_000 })
      await areProbed(2)
    } finally {
      await probing.stop()
      proxy.close()
    }
  }, 40_000)

  it('is told of a transaction before it commits, and looks until it has', async () => {
    const open = await holdOpen(enqueue)
    await waitFor(() => payloads.length)
    const before = looks
    await waitFor(() => looks > before + 3)
    expect(told).toEqual([])
    await open.commit()
    await waitFor(() => told.length)
    expect(told).toEqual(['letter'])
    const other = await holdOpen(enqueue)
    const after = looks
    await waitFor(() => looks > after)
    expect(askedAbout).toHaveLength(1)
    await other.rollBack()
  })

  it('is told of all jobs of which a transaction enqueues work', async () => {
    const open = await holdOpen(async (tx) => {
      await enqueue(tx)
      await client.enqueue(tx, parcel, {})
    })
    await open.commit()
    await waitFor(() => told.length === 2)
    expect(told.toSorted()).toEqual(['letter', 'parcel'])
  })

  it('looks for nothing that was rolled back', async () => {
    const open = await holdOpen(enqueue)
    await waitFor(() => payloads.length)
    await open.rollBack()
    // By the time it asks about the second transaction, it has seen that the first has ended.
    const other = await holdOpen(enqueue)
    await waitFor(() => payloads.length === 2)
    const before = looks
    await waitFor(() => looks > before + 1)
    expect(told).toEqual([])
    await other.commit()
    await waitFor(() => told.length)
    expect(told).toEqual(['letter'])
  })

  it('hears once of all that a transaction enqueues in one turn', async () => {
    const open = await holdOpen((tx) => Promise.all([1, 2, 3].map((n) => enqueue(tx, n))))
    await open.commit()
    await waitFor(() => told.length)
    expect(new Set(payloads).size).toBe(1)
    expect(told).toEqual(['letter'])
  })

  it('hears of what can start now, also where other pieces of a call wait, and of nothing that waits', async () => {
    const startAfter = new Date(Date.now() + 3_600_000)
    const later = { payload: { n: 1 }, options: { startAfter } }
    const now = { payload: { n: 2 } }
    for (const work of [[later], [later, now], [now, later]]) {
      await runtime.prisma.$transaction((tx) => client.enqueueMany(tx, letter, work))
    }
    await client.enqueueNow(letter, { n: 1 })
    await waitFor(() => told.length === 3)
    // Three transactions: the last has no wait.
    expect(payloads.join(' ').match(/ \d+/g)).toHaveLength(2)
  })

  it('hears of a cancellation once its transaction has committed', async () => {
    const { rows } = runtime
    const [run] = await rows<{ id: string }>(
      `insert into "JobRun" ("id", "name", "trigger", "workerId") values (gen_random_uuid(), 'letter', 'queue', 'w1')
       returning "id"`,
    )
    const { id } = run!
    const by = { actor: 'somebody', reason: 'a test' }
    const open = await holdOpen((tx) => client.cancelRun(id, by, { tx }))
    await waitFor(() => payloads.length)
    expect(told).toEqual([])
    await open.commit()
    await waitFor(() => told.length)
    expect(told).toEqual([id])
    expect(await client.cancelRun(crypto.randomUUID(), by)).toBe('notFound')
    expect(payloads).toHaveLength(1)
  })

  it('is told of many transactions at once, each when it commits', async () => {
    const open = await Promise.all(Array.from({ length: 8 }, () => holdOpen(enqueue)))
    await waitFor(() => payloads.join(' ').match(/ \d+/g)?.length === 8)
    for (const one of open.slice(0, 4)) await one.commit()
    await waitFor(() => told.length === 4)
    for (const one of open.slice(4)) await one.rollBack()
    await client.enqueueNow(letter, { n: 1 })
    await waitFor(() => told.length === 5)
    expect(told).toEqual(Array.from({ length: 5 }, () => 'letter'))
  })
})

describe('what somebody else notifies', () => {
  const FUTURE = '9000000000000000000'

  it('spoils the look for no other transaction', async () => {
    const open = await holdOpen(enqueue)
    await waitFor(() => payloads.length)
    for (const id of [FUTURE, '3', '9999999999999999999']) wakeUps.receive(`letter ${id}`, RECEIVER)
    const before = looks
    await waitFor(() => looks > before + 2)
    // It may report the transaction that has long ended, but not the open one.
    expect(told.length).toBeLessThanOrEqual(1)
    told = []
    await open.commit()
    await waitFor(() => told.length)
  })

  it('of nobody whom this worker knows is not looked for', async () => {
    const unknownIds = '8000000000000000000'
    for (let n = 0; n < 1_000; n++) wakeUps.receive(`unknown ${unknownIds}`, RECEIVER)
    wakeUps.receive('unknown', RECEIVER)
    wakeUps.receive(`letter ${Array.from({ length: 500 }, () => unknownIds).join(' ')}`, RECEIVER)
    const open = await holdOpen(enqueue)
    const before = looks
    await waitFor(() => looks > before)
    expect(askedAbout).not.toContain(unknownIds)
    expect(told).toEqual([])
    await open.rollBack()
  })

  it('does not use up the patience for a transaction that is open', async () => {
    const asked: number[] = []
    const own = createWakeUps({
      schema: runtime.database.schema,
      query: async (_, values) => {
        const ids = values?.[0] as string[]
        asked.push(ids.length)
        const ended = ids.filter((id) => id !== '1')
        return {
          rows: ended.map((id) => ({ id, hasCommitted: true })) as never,
          rowCount: ended.length,
        }
      },
    })
    own.receive('letter 1', RECEIVER)
    for (let n = 2; n < 300; n++) {
      const before = asked.length
      own.receive(`letter ${n}`, RECEIVER)
      await waitFor(() => asked.length > before, { intervalMs: 1 })
    }
    asked.length = 0
    await waitFor(() => asked.length > 0)
    own.stop()
    expect(asked[0]).toBe(1)
  })
})

describe('a wake-up', () => {
  it('goes with the next one while one is under way, and all of them before a stop', async () => {
    const asked: unknown[][] = []
    const gates: (() => void)[] = []
    const waker = createWaker(slow(asked, gates), runtime.log)
    waker.wake('one', null)
    await waitFor(() => asked.length)
    for (let n = 1; n <= 250; n++) waker.wake('two', String(n))
    waker.wake('two', null)
    waker.cancel('run', '7')
    const stopped = waker.stop()
    for (let n = 0; n < 3; n++) {
      await waitFor(() => gates.length)
      gates.shift()!()
    }
    await stopped
    const [first, second, third] = asked
    expect(first).toEqual([WORK_CHANNEL, 'one'])
    const hundred = (from: number, to: number) =>
      ['two', ...Array.from({ length: to - from + 1 }, (_, n) => from + n)].join(' ')
    expect(second).toEqual([
      WORK_CHANNEL,
      ['two', hundred(1, 100), hundred(101, 200), hundred(201, 250)],
    ])
    expect(third).toEqual([CANCEL_CHANNEL, 'run 7'])
  })

  it('arrives as it was told, whatever its text', async () => {
    const waker = createWaker(runtime.database, runtime.log)
    const subjects = [`it's`, 'a\\b', `$1'); "JobWork"`]
    for (const [n, subject] of subjects.entries()) {
      waker.wake(subject, null)
      await waitFor(() => payloads.length > n)
    }
    expect(payloads).toEqual(subjects)
    await waker.stop()
  })

  it('that cannot be told is no error of whoever enqueues, and one line for many', async () => {
    const { database, log, events, meet, costs, close } = countCosts(runtime)
    onTestFinished(close)
    const waker = createWaker(database, log)
    meet(['away', 'away'])
    for (const id of ['1', '2']) {
      const before = events.length
      waker.wake('one', id)
      await waitFor(() => events.slice(before).includes('pause'))
    }
    // A server that is short of connections is left alone for a second each time.
    expect(costs()).toEqual({ statements: 2, pauses: [1_000, 1_000], lines: 1 })
    await waker.stop()
  })

  it('that hangs does not hold up a stop', async () => {
    const waker = createWaker(
      { ...runtime.database, query: () => new Promise(() => undefined) },
      runtime.log,
    )
    waker.wake('one', null)
    waker.wake('two', null)
    await expect(waker.stop()).resolves.toBeUndefined()
  })
})

/** Each statement waits for its gate. */
function slow(asked: unknown[][], gates: (() => void)[]): Connection {
  return {
    schema: runtime.database.schema,
    async query(statement, values = []) {
      // A single wake-up stands in the text.
      const [, , ...texts] = sqlOf(runtime.database.schema, statement).matchAll(/'([^']*)'/g)
      asked.push(values.length > 0 ? [...values] : texts.map(([, text]) => text))
      await new Promise<void>((resolve) => gates.push(resolve))
      return { rows: [], rowCount: 0 }
    },
  }
}
