// Not quick: waits for rounds, one a second.
import { waitFor, useLivingWorkers } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { v7 as uuid } from 'uuid'
import { defineJob } from '../../src/index.ts'
import { createRounds, readRound, type Rounds } from '../../src/worker/rounds.ts'
import type { Session } from '../../src/liveness/session.ts'
import { createLimits } from '../../src/work/limits.ts'
import { arePlacesBehind } from '../../src/queue/mendPlaces.ts'
import { createFloors, type Floors } from '../../src/work/floors.ts'
import { createHoldings } from '../../src/work/holdings.ts'
import { holdRuns } from '../holdRuns.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { combineObservers } from '../../src/run/combineObservers.ts'

const now = defineJob({ name: 'now' })
const later = defineJob({ name: 'later' })

const { runtime, client } = useClientRuntime({ cleared: ['JobWorker'] })
useLivingWorkers(() => runtime.url, 'hangs')

const look = (names: string[] = []) =>
  readRound(
    runtime.database,
    'w1',
    names.map((name) => ({ name, behind: [] })),
    [],
  )
const signUp = (secondsAgo: number) =>
  runtime.rows(
    `insert into "JobWorker" ("id", "heartbeatAt")
     values ('w1', now() - $1 * interval '1 second')`,
    [secondsAgo],
  )
const lastBeat = () => runtime.value<Date>(`select "heartbeatAt" as at from "JobWorker"`)

describe('readRound', () => {
  it('names the jobs with work that can be taken, of those that are asked for', async () => {
    const startAfter = new Date(Date.now() + 3_600_000)
    await runtime.prisma.$transaction(async (tx) => {
      await client.enqueue(tx, now, {})
      await client.enqueue(tx, now, {})
      await client.enqueue(tx, later, {}, { startAfter })
    })
    expect(await look(['now', 'later'])).toMatchObject({ lost: [], ready: ['now'] })
    expect(await look(['later'])).toMatchObject({ lost: [], ready: [] })
  })

  it('finds what workers hold that are gone, and not its own', async () => {
    await runtime.rows(`insert into "JobWorker" ("id") values ('gone')`)
    for (const workerId of ['gone', 'w1']) await holdRuns(runtime, { name: 'now', workerId })
    const [lost] = await runtime.rows<{ id: string }>(
      `select "id" from "JobClaim" where "workerId" = 'gone'`,
    )
    expect((await look()).lost).toEqual([{ ...lost, name: 'now', workerId: 'gone' }])
  })

  it('says whether anything is held, since an idle worker has nothing else to ask', async () => {
    expect((await look()).isIdle).toBe(true)
    await holdRuns(runtime, { name: 'now', workerId: 'w1' })
    expect((await look()).isIdle).toBe(false)
  })

  it('gives a sign of life when the last one is old', async () => {
    await signUp(6)
    const before = await lastBeat()
    await look()
    expect((await lastBeat())?.getTime()).toBeGreaterThan((before?.getTime() ?? NaN) + 5_000)
  })

  it('writes nothing while the last one is young', async () => {
    await signUp(1)
    const before = await lastBeat()
    await look()
    expect(await lastBeat()).toEqual(before)
  })
})

describe('createRounds', () => {
  let rounds: Rounds
  /** What a session says, and how many rounds have asked it. */
  let connectedForMs: number | null
  let asked: number
  let looked: number
  let failsWith: Error | null
  let ticks: number
  /** How the housekeeping of limits ends. */
  let settle: () => Promise<void>
  let calls: string[]
  let floors: Floors
  /** Where the statements of a session look for functions first. */
  let searchPath: string

  const make = (session: Session) =>
    createRounds({
      session,
      database: runtime.database,
      floors,
      holdings: createHoldings(),
      limits: createLimits(),
      observers: combineObservers([{ runRescued: () => void calls.push('lost') }], runtime.log),
      cancellations: { watched: () => [uuid()], note: () => void calls.push('cancellations') },
      workerId: 'w1',
      jobs: [now],
      log: runtime.log,
      now: () => new Date(),
      scheduled: [],
      onTicks: () => void ticks++,
      onOtherServer: () => undefined,
      onFresh: () => undefined,
      onReady: (name) => calls.push(`ready ${name}`),
      onSuspect: (name) => calls.push(`suspect ${name}`),
      settleLimits: async () => {
        calls.push('limits')
        await settle()
      },
      onEnded: ({ name }) => calls.push(`ended ${name}`),
    })

  beforeEach(() => {
    connectedForMs = 60_000
    asked = 0
    looked = 0
    failsWith = null
    ticks = 0
    settle = async () => undefined
    calls = []
    floors = createFloors()
    searchPath = 'pg_catalog, public'
    runtime.lines.splice(0)
    rounds = make({
      connectedForMs() {
        looked++
        return connectedForMs
      },
      signUp: async () => undefined,
      query: async (text: string, values?: readonly unknown[]) => {
        asked++
        if (failsWith) throw failsWith
        return await runtime.database.transaction(async (tx) => {
          await tx.query(`set local search_path = ${searchPath}`)
          return await tx.query(text, values)
        })
      },
    } as Session)
  })

  afterEach(() => rounds.stop())

  const holdRun = async (workerId: string) => {
    await runtime.rows('insert into "JobWorker" ("id") values ($1)', [workerId])
    await holdRuns(runtime, { name: 'now', workerId })
  }
  const states = () =>
    runtime.rows<{ workerId: string; errorCode: string | null }>(
      'select "workerId", "errorCode" from "JobRunAll" order by 1',
    )
  /** From now on another server seems to answer. */
  const changeServer = async () => {
    await runtime.rows(`
      create schema other;
      create function other.pg_postmaster_start_time() returns timestamptz language sql as $$ select timestamptz '2100-01-01' $$`)
    onTestFinished(async () => void (await runtime.rows('drop schema other cascade')))
    searchPath = 'other, pg_catalog, public'
  }
  const afterRounds = async (count: number) => {
    const before = asked
    await waitFor(() => asked >= before + count, { message: `${count} rounds` })
  }

  it('ends no run until its worker has been connected for a while: others may still come back', async () => {
    await holdRun('gone')
    connectedForMs = 1_900
    rounds.start()
    await afterRounds(2)
    expect(await states()).toEqual([{ workerId: 'gone', errorCode: null }])
    expect(calls).not.toContain('lost')

    connectedForMs = 2_100
    await waitFor(() => calls.includes('lost'))
    expect(await states()).toEqual([{ workerId: 'gone', errorCode: 'worker_lost' }])
    // What people cancelled has been looked at, and whoever is woken finds the run ended.
    const at = calls.indexOf('lost') - 1
    await waitFor(() => calls.length > at + 3)
    expect(calls.slice(at, at + 4)).toEqual(['cancellations', 'lost', 'ended now', 'ready now'])
  })

  it('ends no run while nobody could see its own worker live', async () => {
    await holdRun('gone')
    connectedForMs = null
    rounds.start()
    await waitFor(() => looked > 1)
    expect(asked).toBe(0)
    connectedForMs = 60_000
    await waitFor(() => calls.includes('lost'))
    expect(await states()).toEqual([{ workerId: 'gone', errorCode: 'worker_lost' }])
  })

  it('ends runs also while somebody has locked the row of its own worker', async () => {
    await signUp(40)
    await holdRun('gone')
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobWorker" where "id" = 'w1' for update`)
      rounds.start()
      await waitFor(() => calls.includes('lost'))
    })
    expect(await states()).toEqual([{ workerId: 'gone', errorCode: 'worker_lost' }])
  })

  it('takes work that is ready, ends expired runs and rescues, whichever of these fails', async () => {
    settle = async () => await Promise.reject(new Error('no answer'))
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, now, {}))
    await holdRun('gone')
    await holdRun('hangs')
    await runtime.rows(`update "JobClaim" set "expiresAt" = "createdAt" where "workerId" = 'hangs'`)
    await runtime.rows(`
      create function refuse() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$;
      create trigger refuse before insert on "JobRun" for each row
      when (new."workerId" = 'gone') execute function refuse()`)
    rounds.start()
    await waitFor(() => calls.includes('ended now'), { message: 'the expired run is ended' })
    expect(calls.slice(0, 3)).toEqual(['cancellations', 'ready now', 'limits'])
    expect(await states()).toEqual([
      { workerId: 'gone', errorCode: null },
      { workerId: 'hangs', errorCode: 'expired' },
    ])
    await runtime.rows('drop trigger refuse on "JobRun"; drop function refuse')
    await waitFor(() => calls.includes('lost'), { message: 'the lost run is rescued' })
  })

  it('begins at the start again once another server answers, where the sequence of places may have gone back', async () => {
    const taken = { rank: 0, place: String(2 ** 40) }
    floors.note('now', [{ from: taken }])
    rounds.start()
    await waitFor(() => floors.look('now').behind[0]?.place === taken.place)
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, now, {}))
    const before = asked
    await waitFor(() => asked >= before + 2)
    expect(calls).not.toContain('ready now')

    await runtime.rows(`insert into "JobLimit" ("name", "changedPlace") values ('behind', $1)`, [
      taken.place,
    ])
    await changeServer()
    await waitFor(() => calls.includes('ready now'))
    expect(await arePlacesBehind(runtime.reader)).toBe(false)
    await runtime.rows('delete from "JobLimit"')
  })

  it('gives back what its own worker does not hold, every tenth round and once another server answers', async () => {
    const findStray = async () => {
      const before = asked
      await holdRuns(runtime, { name: 'now', workerId: 'w1' })
      await waitFor(() => calls.includes('ended now'))
      calls = []
      return asked - before
    }
    rounds.start()
    await afterRounds(2)
    expect(await findStray()).toBeGreaterThan(5)
    // Where a look has found some, the next round looks again.
    await afterRounds(2)
    await changeServer()
    expect(await findStray()).toBeLessThan(5)
    const drained = { workerId: 'w1', errorCode: 'drained' }
    expect(await states()).toEqual([drained, drained])
  })

  it('looks for ticks, cancellations and work while its housekeeping waits', async () => {
    const gate = Promise.withResolvers<void>()
    settle = async () => await gate.promise
    rounds.start()
    await waitFor(() => calls.includes('limits'))
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, now, {}))
    const before = ticks
    calls = []
    await waitFor(() => ticks > before + 1).finally(gate.resolve)
    expect(calls).toContain('cancellations')
    expect(calls).toContain('ready now')
  })

  it('begins at an instant of its own, so that workers of one deploy do not ask at once', () => {
    vi.useFakeTimers()
    vi.spyOn(Math, 'random').mockReturnValue(0.25)
    onTestFinished(() => void vi.useRealTimers().restoreAllMocks())
    connectedForMs = null
    rounds.start()
    vi.advanceTimersByTime(249)
    expect(looked).toBe(0)
    vi.advanceTimersByTime(1)
    expect(looked).toBe(1)
  })

  it('wakes those that run work alone which has lost several workers', async () => {
    await runtime.prisma.$transaction((tx) => client.enqueue(tx, now, {}))
    await runtime.rows('update "JobWork" set "losses" = 2')
    rounds.start()
    await waitFor(() => calls.includes('suspect now'))
    expect(calls).not.toContain('ready now')
  })

  it('goes on after a round that failed, and says why it did', async () => {
    failsWith = new Error('no answer')
    rounds.start()
    await afterRounds(2)
    expect(runtime.lines.filter(({ level }) => level === 40)).toMatchObject([
      { err: { message: 'no answer' }, msg: expect.stringContaining('round') as string },
      {},
    ])
    failsWith = null
    await waitFor(() => calls.includes('cancellations'))
  })

  it('asks nothing more once it has stopped, also in the middle of a round', async () => {
    rounds.start()
    await afterRounds(1)
    await rounds.stop()
    const [stopped, before] = [asked, calls.length]
    // The pause before a round is over by the time that rounds which begin now have begun twice.
    let others = 0
    const other = make({ connectedForMs: () => (others++, null) } as Session)
    other.start()
    await waitFor(() => others === 2)
    await other.stop()
    expect([asked, calls.length]).toEqual([stopped, before])
  })
})
