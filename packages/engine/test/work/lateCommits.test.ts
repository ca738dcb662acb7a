// Not quick: lets transactions linger beside workers.
import { setTimeout as pause } from 'node:timers/promises'
import { openForTests, waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import pg from 'pg'
import { defineJob } from '../../src/index.ts'
import { readRound } from '../../src/worker/rounds.ts'
import { createSession, type Session } from '../../src/liveness/session.ts'
import type { Taken } from '../../src/queue/taken.ts'
import type { Database } from '../../src/database/database.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createFloors } from '../../src/work/floors.ts'
import type { Limits } from '../../src/work/limits.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { interceptQueries, isClaim } from '../interceptQueries.ts'

const parcel = defineJob({ name: 'parcel' })
const limited = defineJob({
  name: 'parcel',
  rateLimit: { limit: 1_000_000, perMs: 1_000 },
})
const PRODUCERS = 8
const TRANSACTIONS = 60
const WORKERS = ['w1', 'w2', 'w3']

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, [parcel]))
let sessions: Session[]
let limits: Limits

beforeAll(async () => {
  const { url, database, log } = runtime
  sessions = WORKERS.slice(1).map((workerId) => createSession({ url, database, workerId, log }))
  for (const session of sessions) await session.start()
  limits = await registeredLimits(runtime, [limited])
})

afterAll(async () => {
  for (const session of sessions) await session.stop()
})

const chance = (of: number) => Math.random() * of < 1
const below = (most: number) => Math.floor(Math.random() * most)

it(
  'no work is stranded, whose transactions commit late or roll back, and whose claims do',
  strandNone,
)

it('nor beside a transaction of a host that has written to other tables and stays open', async () => {
  await withOpenTransaction(strandNone)
})

it('a floor passes what was taken beside such a transaction, and waits for one that may have a place', async () => {
  await withOpenTransaction(async (producer) => {
    const floors = createFloors()
    const claimer = createClaimer({
      database: runtime.database,
      workerId: 'w1',
      now: () => new Date(),
      floors,
    })
    const placeOf = (from: 'hint' | 'floor') =>
      BigInt(floors.behind(parcel.name, from)[0]?.place ?? 0)
    async function look(): Promise<void> {
      const request = floors.look(parcel.name)
      const seen = await readRound(runtime.database, 'w1', [request], [])
      floors.move(request, seen, seen.firsts.get(parcel.name) ?? new Map())
    }
    const take = async () => (await claimer.claim(parcel, 10)).work.length

    // Its id is from before its place, and its place from within a savepoint.
    await producer.query('begin; create table "Other" (); savepoint one')
    await opened.client.enqueue(producer, parcel, {})
    await producer.query('release savepoint one')
    await opened.client.enqueueNow(parcel, {})
    expect(await take()).toBe(1)
    for (let n = 0; n < 5; n++) await look()
    expect(placeOf('floor')).toBe(0n)
    await producer.query('commit')
    for (let n = 0; n < 5; n++) await look()
    expect([placeOf('floor') < placeOf('hint'), await take()]).toEqual([true, 1])
    await opened.client.enqueueNow(parcel, {})
    expect(await take()).toBe(1)
    await waitFor(async () => {
      await look()
      return placeOf('floor') === placeOf('hint')
    })
  })
})

async function withOpenTransaction(test: (other: pg.Client) => Promise<void>): Promise<void> {
  const [host, other] = [new pg.Client(runtime.url), new pg.Client(runtime.url)]
  await host.connect()
  await other.connect()
  await host.query('begin; create table "Order" ()')
  try {
    await test(other)
  } finally {
    await host.end()
    await other.end()
  }
}

async function strandNone(): Promise<void> {
  const committed = new Set<string>()
  const taken: string[] = []
  /** What was below a worker's floor, and there. */
  const passedOver: string[] = []
  const all = WORKERS.map(() => createFloors())
  const readFloors = () =>
    all.map(
      (floors) =>
        new Map(floors.behind(parcel.name, 'floor').map(({ rank, place }) => [rank, place])),
    )

  async function produce(): Promise<void> {
    const session = new pg.Client({ connectionString: runtime.url })
    await session.connect()
    for (let nth = 0; nth < TRANSACTIONS; nth++) {
      const ids: string[] = []
      await session.query('begin')
      for (let piece = 0; piece <= below(4); piece++) {
        const startAfter = chance(4) ? new Date(Date.now() + below(20)) : new Date(0)
        const options = { priority: below(2), startAfter }
        const enqueue = () => opened.client.enqueue(session, parcel, {}, options)
        await session.query('savepoint one')
        if (chance(4)) await enqueue().then(() => session.query('rollback to savepoint one'))
        ids.push((await enqueue()).workId)
        await pause(chance(3) ? below(100) : 0)
      }
      const isRolledBack = chance(5)
      await session.query(isRolledBack ? 'rollback' : 'commit')
      if (!isRolledBack) for (const id of ids) committed.add(id)
    }
    await session.end()
  }

  const done = new AbortController()
  async function work(workerId: string, nth: number): Promise<void> {
    const floors = all[nth]!
    const now = () => new Date()
    const { database } = runtime
    const of = { database: losing(database), workerId, now, floors }
    const [plain, rated] = [createClaimer(of), createClaimer({ ...of, limits })]
    let hasBacklog = false as boolean
    while (!done.signal.aborted) {
      const before = readFloors()
      const { work: brought, mayBeMore } = await (chance(2) ? plain : rated)
        .claim(parcel, 1 + below(4), { hasBacklog })
        .catch(() => ({ work: [] as Taken[], mayBeMore: false }))
      taken.push(...brought.map(({ workId }) => workId as string))
      for (const { workId, from } of brought)
        if (
          from &&
          before.some((places) => BigInt(places.get(from.rank) ?? 0) >= BigInt(from.place))
        )
          passedOver.push(workId as string)
      hasBacklog = mayBeMore
      if (!chance(3)) continue
      const request = floors.look(parcel.name)
      const seen = await readRound(database, workerId, [request], [])
      floors.move(request, seen, seen.firsts.get(parcel.name) ?? new Map())
    }
  }

  const working = Promise.all(WORKERS.map(work))
  await Promise.all(Array.from({ length: PRODUCERS }, produce))
  const left = () => [...committed].filter((id) => !taken.includes(id))
  for (let tries = 0; tries < 100 && left().length > 0; tries++) await pause(20)
  done.abort()
  await working

  expect([...passedOver, ...left()]).toEqual([])
  expect(taken).toHaveLength(committed.size)
  expect(new Set(taken).size).toBe(committed.size)
}

/** Rolls some claims back when they have locked their work. */
const losing = (database: Database) =>
  interceptQueries(database, async (carryOut, statement, values) => {
    if (!isClaim(statement) || !chance(6)) return await carryOut()
    return await database.transaction(async (tx) => {
      await tx.query(statement, values)
      await pause(below(10))
      throw new Error('connection lost')
    })
  })
