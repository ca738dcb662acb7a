import { describe, expect, it } from 'vitest'
import { waitFor } from '@roundsman/testing'
import { answerInTime, UnansweredError } from '../../src/database/answerInTime.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { createSession } from '../../src/liveness/session.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { usePoolsThroughProxy } from './usePoolsThroughProxy.ts'

const runtime = useTestRuntime()
const openThroughProxy = usePoolsThroughProxy(runtime)

/** Blocks the event loop, as a computing handler or a swapping machine does. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

const IMPATIENT = { applicationName: 'blocked', poolSize: 1, answerTimeoutMs: 150 }
const open = () =>
  openDatabase({
    schema: createSchema('public'),
    url: runtime.url,
    log: runtime.log,
    ...IMPATIENT,
  })
const BIG = `select repeat('x', 1000000) as text from generate_series(1, 5)`

describe('an answer that came while the event loop was blocked', () => {
  it('is taken from a pool, however large it is', async () => {
    const database = open()
    try {
      await database.query('select 1')
      const answer = database.query<{ text: string }>(BIG)
      await new Promise(setImmediate)
      block(400)
      expect((await answer).rows).toHaveLength(5)
    } finally {
      await database.close()
    }
  })

  it('is taken within a transaction, which commits', async () => {
    const database = open()
    try {
      await database.query('create table if not exists kept (n int)')
      await database.transaction(async (tx) => {
        const answer = tx.query('insert into kept values (1)')
        await new Promise(setImmediate)
        block(400)
        await answer
      })
      expect((await database.query('select from kept')).rowCount).toBe(1)
    } finally {
      await database.close()
    }
  })

  it('costs a session neither its connection nor its lock', async () => {
    const { url, database, log } = runtime
    const session = createSession({ url, database, workerId: 'busy', answerTimeoutMs: 150, log })
    await session.start()
    try {
      const pid = async () =>
        (await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid
      const before = await pid()
      const answer = pid()
      await new Promise(setImmediate)
      block(400)
      expect(await answer).toBe(before)
      expect(session.connectedForMs()).not.toBeNull()
      expect(await pid()).toBe(before)
    } finally {
      await session.stop()
    }
  })
})

describe('an answer that arrives in parts', () => {
  /** A socket that has received more every few looks, and everything after 40. */
  function socketThatReceives(everyLooks: number, onAll: () => void = () => undefined) {
    let looks = 0
    return {
      get bytesRead() {
        if (++looks === 40) onAll()
        return Math.floor(looks / everyLooks)
      },
    }
  }

  it('is waited for, though its server pauses between them', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = socketThatReceives(8, () => resolve('all of it'))
    expect(await answerInTime(promise, { timeoutMs: 0, socket })).toBe('all of it')
  })

  it('is given up when no more comes, or when it has no end', async () => {
    const never = new Promise<never>(() => undefined)
    const wait = (socket: { bytesRead: number }) =>
      answerInTime(never, { timeoutMs: 0, maxMoreMs: 50, socket })
    await expect(wait({ bytesRead: 5 })).rejects.toThrow(UnansweredError)
    await expect(wait(socketThatReceives(1))).rejects.toThrow(UnansweredError)
  })
})

describe('an answer that does not come', () => {
  it('is not waited for, and its connection serves nobody else', async () => {
    const { database, proxy } = await openThroughProxy(IMPATIENT)
    await database.query('select 1')
    proxy.forget()
    await expect(database.query('select 1')).rejects.toThrow('Query read timeout')
    expect((await database.query('select 2 as n')).rows).toEqual([{ n: 2 }])

    const refused = database.transaction(async (tx) => {
      await tx.query('select 1')
      proxy.forget()
      await tx.query('select 1')
    })
    await expect(refused).rejects.toThrow('Query read timeout')
    expect((await database.query('select 3 as n')).rows).toEqual([{ n: 3 }])
  })
})

describe('close', () => {
  it('does not wait for a transaction whose server is silent', { timeout: 20_000 }, async () => {
    const { database, proxy } = await openThroughProxy({ applicationName: 'silent' })
    let isBegun = false
    const hung = database.transaction(async (tx) => {
      await tx.query('select 1')
      proxy.goHalfOpen()
      isBegun = true
      await tx.query('select 1')
    })
    await waitFor(() => isBegun)
    await Promise.all([
      expect(hung).rejects.toThrow(/terminated/i),
      database.close({ timeoutMs: 100 }),
    ])
    expect(database.connections()).toMatchObject({ total: 0 })
    proxy.close()
  })
})
