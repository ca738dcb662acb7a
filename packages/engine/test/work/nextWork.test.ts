import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { readRound } from '../../src/worker/rounds.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { createFloors, type Floors } from '../../src/work/floors.ts'
import type { Limits } from '../../src/work/limits.ts'
import type { Database } from '../../src/database/database.ts'
import { placeDueSql } from '../../src/queue/looks.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { useSession } from '../useSession.ts'
import { countLockWaits } from '../countLockWaits.ts'

const plain = defineJob({ name: 'plain' })
const limited = defineJob({
  name: 'limited',
  rateLimit: { limit: 1_000, perMs: 1_000 },
})

const { runtime, client } = useClientRuntime()
const session = useSession(runtime)
let floors: Floors
let limits: Limits

beforeAll(async () => {
  limits = await registeredLimits(runtime, [limited])
})

beforeEach(async () => {
  floors = createFloors()
  await runtime.clear()
})

const openClaimer = (database: Database): Claimer =>
  createClaimer({ database, workerId: 'w1', now: () => new Date(), floors, limits })

async function count(claimer: Claimer, job: typeof plain | typeof limited): Promise<number> {
  return (await claimer.claim(job, 10)).work.length
}

/** Looks as a round does. Returns the jobs of which it has seen work. */
async function look(job: typeof plain | typeof limited): Promise<string[]> {
  const request = floors.look(job.name)
  const { firsts, ready, ...seen } = await readRound(session, 'w1', [request], [])
  floors.move(request, seen, firsts.get(job.name) ?? new Map())
  return ready
}

describe('a worker that has taken work finds the next', () => {
  it('of the lowest and of the highest priority that there is', async () => {
    const claimer = openClaimer(runtime.database)
    for (const priority of [-(2 ** 31), 2 ** 31 - 1, -(2 ** 31) + 1, -(2 ** 31)]) {
      await client.enqueueNow(plain, {}, { priority })
      expect(await look(plain)).toEqual(['plain'])
      expect(await count(claimer, plain)).toBe(1)
    }
    expect(await look(plain)).toEqual([])
  })

  it('that has lost several workers, and was then replaced', async () => {
    const claimer = openClaimer(runtime.database)
    await client.enqueueNow(plain, {}, { uniqueKey: 'one' })
    await runtime.rows('update "JobWork" set "losses" = 2')
    await client.enqueueNow(plain, {})
    expect(await count(claimer, plain)).toBe(1)
    await look(plain)

    const again = { uniqueKey: 'one', onConflict: 'replace' } as const
    expect((await client.enqueueNow(plain, {}, again)).kind).toBe('replaced')
    expect(await look(plain)).toEqual(['plain'])
    expect(await count(claimer, plain)).toBe(1)
  })

  it('that committed late, its place taken while the claim waited for the lock of its limit', async () => {
    const { database, url } = runtime
    const claimer = openClaimer(database)
    const late = new pg.Client(url)
    await late.connect()
    let waiting: Promise<number> | undefined
    await database.transaction(async (tx) => {
      await tx.query(`select from "JobLimit" where "name" = 'job:limited' for update`)
      waiting = count(claimer, limited)
      await waitFor(() => countLockWaits(runtime))
      await late.query('begin')
      await client.enqueue(late, limited, {})
      await client.enqueueNow(limited, {})
    })
    // Its snapshot is from before the lock.
    expect([await waiting, await count(claimer, limited)]).toEqual([0, 1])
    await look(limited)
    await late.query('commit')
    await late.end()
    expect(await look(limited)).toEqual(['limited'])
    expect(await count(claimer, limited)).toBe(1)
  })

  it('of a transaction that committed late, claim by claim, though it has taken later work', async () => {
    const claimer = openClaimer(runtime.database)
    const late = new pg.Client(runtime.url)
    await late.connect()
    await late.query('begin')
    await client.enqueueMany(
      late,
      plain,
      Array.from({ length: 30 }, () => ({ payload: {} })),
    )
    await client.enqueueNow(plain, {})
    expect(await count(claimer, plain)).toBe(1)
    await late.query('commit')
    await late.end()
    for (const hasBacklog of [false, true, true])
      expect((await claimer.claim(plain, 10, { hasBacklog })).work).toHaveLength(10)
  })

  it('beside work that it has taken to run alone, and that waited behind it', async () => {
    const claimer = openClaimer(runtime.database)
    for (const job of [plain, limited]) {
      await client.enqueueNow(job, {})
      await client.enqueueNow(job, {}, { uniqueKey: 'alone' })
      await runtime.rows('update "JobWork" set "losses" = 2 where "uniqueKey" is not null')
      expect((await claimer.claimSuspect(job)).work).toHaveLength(1)
      expect((await claimer.claim(job, 10, { hasBacklog: true })).work).toHaveLength(1)
    }
  })
})

describe('what has become due', () => {
  it('gets its place though very much of another job is due, which was defined before', async () => {
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "place", "dueAt", "bytes")
       select gen_random_uuid(), case when piece = 0 then 'limited' else 'plain' end, null, now() - interval '1 minute', 2
       from generate_series(0, 150000) piece`,
    )
    const isPlaced = async () =>
      (await runtime.rows(`select from "JobWork" where "name" = 'limited' and "place" is not null`))
        .length === 1
    for (let rounds = 0; rounds < 14 && !(await isPlaced()); rounds++)
      // As a round does.
      await runtime.rows(`with ${placeDueSql('$1')} select from placed`, [['plain', 'limited']])
    expect(await isPlaced()).toBe(true)
  })
})
