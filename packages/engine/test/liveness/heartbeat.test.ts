// Not quick: waits for heartbeats.
import { createPooler, type Pooler, waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { listWorkers } from '../../src/client.ts'
import { createSession, type Session } from '../../src/liveness/session.ts'
import { readRound } from '../../src/liveness/rounds.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()
let pooler: Pooler
let session: Session
let reconnects: number

beforeAll(async () => {
  pooler = await createPooler(runtime.url)
})

afterAll(() => pooler.close())

beforeEach(async () => {
  const { database, log } = runtime
  reconnects = 0
  session = createSession({ url: pooler.url, database, workerId: 'w1', log })
  await session.start()
  await session.listen(
    'any',
    () => undefined,
    () => reconnects++,
  )
})

afterEach(() => session.stop())

const isAlive = async () => (await listWorkers(runtime.reader))[0]?.isAlive
const age = (seconds: number) =>
  runtime.rows(`update "JobWorker" set "heartbeatAt" = now() - $1 * interval '1 second'`, [seconds])

describe('a worker that lives by its heartbeat', { timeout: 20_000 }, () => {
  it('is alive, and says so', async () => {
    expect(await isAlive()).toBe(true)
    expect(session.connectedForMs()).not.toBeNull()
    expect(session.isLasting()).toBe(false)
  })

  it('signs up anew after a day of silence, when others have removed its row', async () => {
    await waitFor(() => (session.connectedForMs() ?? 0) > 1_000)
    const before = session.connectedForMs() ?? NaN
    await runtime.rows('delete from "JobWorker"')
    await waitFor(isAlive)
    // Others could not see it live in between: it must look for what it missed.
    await waitFor(() => reconnects === 1)
    expect(session.connectedForMs()).toBeLessThan(before)
  })

  it('knows that it was taken for dead, though its row is there', async () => {
    await waitFor(() => (session.connectedForMs() ?? 0) > 1_000)
    const before = session.connectedForMs() ?? NaN
    await age(31)
    expect(await isAlive()).toBe(false)
    await waitFor(isAlive)
    await waitFor(() => reconnects === 1)
    expect(session.connectedForMs()).toBeLessThan(before)
  })

  it('does not claim to be seen when its last beat was long ago', () => {
    const now = performance.now()
    const clock = vi.spyOn(performance, 'now')
    try {
      clock.mockReturnValue(now + 29_000)
      expect(session.connectedForMs()).not.toBeNull()
      clock.mockReturnValue(now + 31_000)
      expect(session.connectedForMs()).toBeNull()
    } finally {
      clock.mockRestore()
    }
  })

  it('is not brought back by a round, which would not know of it', async () => {
    await session.stop()
    await runtime.rows(`insert into "JobWorker" ("id", "liveness") values ('w1', 'heartbeat')`)
    await age(31)
    await readRound(runtime.database, 'w1', [], [])
    expect(await isAlive()).toBe(false)
    await age(10)
    await readRound(runtime.database, 'w1', [], [])
    const [row] = await runtime.rows<{ isYoung: boolean }>(
      `select "heartbeatAt" > now() - interval '9 s' as "isYoung" from "JobWorker"`,
    )
    expect(row).toEqual({ isYoung: true })
  })
})
