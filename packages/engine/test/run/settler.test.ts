// Not quick: waits while the database is away.
import { openForTests, waitFor } from '@roundsman/testing'
import { setImmediate as nextTurn } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { combineObservers } from '../../src/run/combineObservers.ts'
import type { Database } from '../../src/database/database.ts'
import { decideNext, type AfterFailure } from '../../src/run/afterFailure.ts'
import type { RunEnding } from '../../src/run/observer.ts'
import { createSettler } from '../../src/run/settler.ts'
import { recordRunning } from '../../src/run/runs.ts'
import type { End } from '../../src/queue/endRuns.ts'
import { openTestQueue, toEnd, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { interceptQueries } from '../interceptQueries.ts'
import { openBeside } from '../openBeside.ts'

const parcel = defineJob({ name: 'parcel' })

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

const settlerOf = (database: Database = runtime.database) =>
  createSettler({ database, workerId: 'w1', log: runtime.log })

/** Takes so many pieces with one claim. */
async function take(count: number): Promise<TestWork[]> {
  const items = Array.from({ length: count }, () => ({ payload: {} }))
  await runtime.prisma.$transaction((tx) => opened.client.enqueueMany(tx, parcel, items))
  return await opened.take('parcel', count)
}

/** The end of a run, that has succeeded unless told otherwise. */
const settlement = (
  one: TestWork,
  failed?: { error: { code: string; message: string }; next: AfterFailure },
  details?: object,
): End => {
  const { error, next } = failed ?? {}
  const work = { ...one, hasProgress: one.hasRow === true }
  return toEnd(one, {
    ...(error && next && { error, ...decideNext(work, parcel.retry, next, error.code) }),
    ...(details && { details: JSON.stringify(details) }),
  })
}

/** What was recorded, however long the run took. */
const recorded = (ending: RunEnding) => ({ ...ending, durationMs: undefined })
const SUCCESS = { kind: 'success', details: null }
const LOST = { kind: 'lost' }

/** Has runs store something before their ends, as a batch does. */
async function speak(work: readonly TestWork[], details: object | null = null): Promise<void> {
  for (const one of work) {
    one.hasRow = true
    await recordRunning(runtime.database, 'w1', one)
  }
  await runtime.rows('update "JobRun" set "details" = $2 where "id" = any($1)', [
    work.map(({ runId }) => runId),
    details,
  ])
}

const claims = () => runtime.rows<{ id: string }>('select "id" from "JobClaim"')
const count = (of: string) => runtime.value<number>(`select count(*)::int n from ${of}`)

describe('a claim', () => {
  it('is let go when the last of its runs is settled, and not before', async () => {
    const settler = settlerOf()
    const work = await take(3)
    const [first, ...others] = work.map((one) => settlement(one))
    await settler.settle(first!)
    expect(await claims()).toEqual([{ id: work[0]!.claimId }])
    await Promise.all(others.map((one) => settler.settle(one)))
    expect(await claims()).toEqual([])
  })

  it('is let go when two groups settle its runs at the same time', async () => {
    let under = 0
    let most = 0
    const settler = settlerOf(
      interceptQueries(runtime.database, async (carryOut) => {
        most = Math.max(most, ++under)
        return await carryOut().finally(() => under--)
      }),
    )
    // More than one group takes.
    const work = await take(3_000)
    const outcomes = await Promise.all(work.map((one) => settler.settle(settlement(one))))
    expect(most).toBe(2)
    expect(outcomes.every(({ kind }) => kind === 'success')).toBe(true)
    await waitForNone()
    expect(await count('"JobWork"')).toBe(0)
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(3_000)
  })

  it('stays while a run of it could not be settled, and goes with the attempt that succeeds', async () => {
    let failures = 1
    const settler = settlerOf(
      interceptQueries(runtime.database, async (carryOut) => {
        if (failures-- > 0) throw new Error('connection lost')
        return await carryOut()
      }),
    )
    const [one] = await take(1)
    expect(recorded(await settler.settle(settlement(one!)))).toEqual(SUCCESS)
    expect(failures).toBeLessThan(0)
    expect(await claims()).toEqual([])
    expect(await count('"JobWork"')).toBe(0)
  })
})

describe('a run that is settled', () => {
  it('keeps what its batches have counted', async () => {
    const settler = settlerOf()
    const work = await take(3)
    const [counted, both, none] = work
    await speak([counted!, both!], { cleaned: 3 })
    const outcomes = await Promise.all([
      settler.settle(settlement(counted!)),
      settler.settle(settlement(both!, undefined, { seen: 5 })),
      settler.settle(settlement(none!, undefined, { seen: 5 })),
    ])
    const details = [{ cleaned: 3 }, { cleaned: 3, seen: 5 }, { seen: 5 }]
    expect(outcomes.map(recorded)).toEqual(details.map((of) => ({ kind: 'success', details: of })))
    for (const [at, { runId }] of work.entries()) {
      expect(await runtime.rows('select "details" from "JobRun" where "id" = $1', [runId])).toEqual(
        [{ details: details[at] }],
      )
    }
  })

  it('leaves alone what became of its work when another worker has ended it', async () => {
    const settler = settlerOf()
    const work = await take(2)
    const [lost, own] = work
    const error = { code: 'broken', message: 'broken' }
    // As a rescue does.
    await opened.fail([lost!], { code: 'worker_lost', message: '' }, 'redeliver')
    lost!.claim.open.add(lost!.runId)
    const readLost = () => runtime.rows('select * from "JobWork" where "id" = $1', [lost!.workId])
    const before = await readLost()
    expect(before).toHaveLength(1)
    const outcomes = await Promise.all(
      [lost!, own!].map((one) => settler.settle(settlement(one, { error, next: 'giveUp' }))),
    )
    expect(outcomes.map(recorded)).toEqual([
      LOST,
      { kind: 'failed', details: null, code: 'broken' },
    ])
    expect(await readLost()).toEqual(before)
    expect(await runtime.rows('select "id" from "JobDeadLetter"')).toEqual([{ id: own!.workId }])
    expect(await runtime.rows('select "errorCode" from "JobRun" order by "errorCode"')).toEqual([
      { errorCode: 'broken' },
      { errorCode: 'worker_lost' },
    ])
    expect(await claims()).toEqual([])
  })
})

describe('a group', () => {
  it.each(['details', 'logs', 'result'] as const)(
    'takes as much text as one statement may carry: %s',
    async (part) => {
      const sizes: number[] = []
      const observer = { runsSettled: (runs: number) => void sizes.push(runs) }
      const observers = combineObservers([observer], runtime.log)
      const settler = createSettler({
        database: runtime.database,
        workerId: 'w1',
        log: runtime.log,
        observers,
      })
      const work = await take(3)
      const text = 'x'.repeat(2_100_000)
      const long = { [part]: JSON.stringify(part === 'details' ? { text } : [text]) }
      await Promise.all(work.map((one) => settler.settle({ ...settlement(one), ...long })))
      expect(sizes).toEqual([1, 1, 1])
    },
  )
})

describe('a settlement whose answer was lost', () => {
  /** Carries out the first statement, but loses its answer. */
  function deafOnce(before: () => Promise<unknown> = async () => undefined): Database {
    const { database } = runtime
    let isDeaf = true
    const hear = async <Answer>(answer: Promise<Answer>): Promise<Answer> => {
      const value = await answer
      if (!isDeaf) return value
      isDeaf = false
      await before()
      throw new Error('Connection terminated unexpectedly')
    }
    return {
      ...database,
      query: (statement, values) => hear(database.query(statement, values)),
      transaction: (work) => hear(database.transaction(work)),
    }
  }
  const error = { code: 'broken', message: 'broken' }
  const readWork = () =>
    runtime.rows(`
      select "id", "attempt", "failures", "place", "dueAt", null as "failedAt" from "JobWork"
      union all
      select "id", "attempt", "failures", null, null, "failedAt" from "JobDeadLetter" order by "id"`)

  it('is taken for settled, with the details of the whole run', async () => {
    const [one] = await take(1)
    await speak([one!], { cleaned: 3 })
    const settler = settlerOf(deafOnce())
    const outcome = await settler.settle(settlement(one!, undefined, { seen: 5 }))
    expect(recorded(outcome)).toEqual({ kind: 'success', details: { cleaned: 3, seen: 5 } })
    expect(await readWork()).toEqual([])
  })

  it('is taken for settled where it stands for one that was refused', async () => {
    const [one] = await take(1)
    const settler = settlerOf(deafOnce())
    const outcome = await settler.settle(settlement(one!, undefined, { text: 'a\0b' }))
    expect(outcome).toMatchObject({ kind: 'failed', code: 'details_unstorable' })
    expect(await runtime.rows('select "errorCode" from "JobRun"')).toEqual([
      { errorCode: 'details_unstorable' },
    ])
  })

  it.each(['retry', 'redeliver', 'giveUp'] as const)(
    'does not do again what became of its work: %s',
    async (next) => {
      const work = await take(3)
      let before: unknown
      const settler = settlerOf(deafOnce(async () => (before = await readWork())))
      const outcomes = await Promise.all(
        work.map((one) => settler.settle(settlement(one, { error, next }))),
      )
      const failed = { kind: 'failed', details: null, code: 'broken' }
      expect(outcomes.map(recorded)).toEqual(work.map(() => failed))
      expect(before).toHaveLength(3)
      expect(await readWork()).toEqual(before)
      expect(await claims()).toEqual([])
    },
  )

  it.each([
    ['moment', `"endedAt" = "endedAt" + interval '1 millisecond'`],
    ['code', `"errorCode" = 'worker_lost'`],
    ['worker', `"workerId" = 'w2'`],
  ])('is lost where the run has ended with another %s', async (_, assignment) => {
    const [one] = await take(1)
    const other = () => runtime.rows(`update "JobRun" set ${assignment}`)
    const settler = settlerOf(deafOnce(other))
    const outcome = await settler.settle(settlement(one!, { error, next: 'giveUp' }))
    expect(recorded(outcome)).toEqual(LOST)
  })
})

describe('a group that is refused', () => {
  const NUL = { text: 'a\0b' }
  const states = () =>
    runtime.rows<{ id: string; errorCode: string | null; details: unknown }>(
      `select "id", "errorCode", "details" from "JobRun" where "status" <> 'running'`,
    )

  it('is divided down to its cause, which keeps its counts; all others are settled', async () => {
    const settler = settlerOf()
    const work = await take(50)
    await speak(work, { cleaned: 3, batches: 1 })
    const outcomes = await Promise.all(
      work.map((one, at) => settler.settle(settlement(one, undefined, at === 17 ? NUL : { at }))),
    )
    const guilty = outcomes[17]
    expect(guilty).toMatchObject({
      kind: 'failed',
      details: { cleaned: 3, batches: 1, error: { code: 'details_unstorable' } },
      code: 'details_unstorable',
    })
    const others = outcomes.flatMap((outcome, at) => (at === 17 ? [] : [{ outcome, at }]))
    for (const { outcome, at } of others) {
      const details = { cleaned: 3, batches: 1, at }
      expect(recorded(outcome)).toEqual({ kind: 'success', details })
    }
    const failed = (await states()).filter(({ errorCode }) => errorCode !== null)
    expect(failed).toMatchObject([{ id: work[17]!.runId, errorCode: 'details_unstorable' }])
    expect(await runtime.rows('select "id" from "JobDeadLetter"')).toEqual([
      { id: work[17]!.workId },
    ])
    await waitForNone()
  })

  it('is tried again for ever where it holds nothing that could be left out', async () => {
    let isRefused = true
    const settler = settlerOf(
      interceptQueries(runtime.database, async (carryOut) => {
        if (isRefused)
          throw Object.assign(new pg.DatabaseError('denied', 0, 'error'), { code: '42501' })
        return await carryOut()
      }),
    )
    const [one] = await take(1)
    const settled = settler.settle(settlement(one!))
    await waitFor(() => failures().length > 2)
    isRefused = false
    expect(recorded(await settled)).toEqual(SUCCESS)
  })
})

describe('a run that somebody has locked', () => {
  it('keeps none of the others from being settled, and is settled itself once it is free', async () => {
    const work = await take(9)
    await speak([work[4]!])
    const impatientUrl = `${runtime.url}?options=${encodeURIComponent('-c lock_timeout=100')}`
    const locking = openBeside(runtime)
    const impatient = openBeside(runtime, { url: impatientUrl })
    const settler = settlerOf(impatient)
    let free: () => void = () => undefined
    const isFree = new Promise<void>((resolve) => (free = resolve))
    const locked = locking.transaction(async (tx) => {
      await tx.query('select from "JobRun" where "id" = $1 for update', [work[4]!.runId])
      await isFree
    })
    await waitFor(async () => (await lockers()) > 0)
    const ends = work.map((one) => settler.settle(settlement(one)))
    await Promise.all(ends.filter((_, at) => at !== 4))
    expect(await count(`"JobRun" where "status" = 'running'`)).toBe(1)
    // What ends now need not wait for the blocked one.
    const [later] = await take(1)
    expect(recorded(await settler.settle(settlement(later!)))).toEqual(SUCCESS)
    free()
    await locked
    expect(recorded(await ends[4]!)).toEqual(SUCCESS)
    await waitForNone()
  })
})

describe('a database that is away', () => {
  it('is tried less and less often, by groups that get smaller, and the log says so', async () => {
    let tries = 0
    let isAway = true
    const settler = settlerOf(
      interceptQueries(runtime.database, async (carryOut) => {
        if (isAway) {
          tries++
          // Without a pause, endless tries would still leave others their turn.
          await nextTurn()
          throw new Error('Connection terminated unexpectedly')
        }
        return await carryOut()
      }),
    )
    const work = await take(20)
    const startedAt = performance.now()
    const ends = Promise.all(work.map((one) => settler.settle(settlement(one))))
    await waitFor(() => tries >= 4)
    // The pauses between the four tries are at least 50, 100 and 200 ms, however slow the machine is.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(345)
    isAway = false
    expect((await ends).every(({ kind }) => kind === 'success')).toBe(true)
    expect(failures()).toHaveLength(4)
    expect(await claims()).toEqual([])
  })

  it('does so for one run alone, and the others are settled all the same', async () => {
    const work = await take(16)
    const poison = work[3]!.runId
    let isBroken = true
    const settler = settlerOf(
      interceptQueries(runtime.database, async (carryOut, _, values) => {
        // The connection breaks whenever it carries this value.
        if (isBroken && String((values as unknown[])[1]).includes(poison)) {
          throw new Error('Connection terminated unexpectedly')
        }
        return await carryOut()
      }),
    )
    const ends = work.map((one) => settler.settle(settlement(one)))
    await Promise.all(ends.filter((_, at) => at !== 3))
    isBroken = false
    expect(recorded(await ends[3]!)).toEqual(SUCCESS)
    await waitForNone()
  })

  it('is left alone once the settler has been stopped', async () => {
    let tries = 0
    const settler = settlerOf(
      interceptQueries(runtime.database, async () => {
        tries++
        throw new Error('Cannot use a pool after calling end on the pool')
      }),
    )
    settler.stop()
    const [one] = await take(1)
    expect(recorded(await settler.settle(settlement(one!)))).toEqual(LOST)
    expect(tries).toBe(0)
  })
})

const failures = () => runtime.lines.filter(({ msg }) => msg === 'settling failed, trying again')

async function lockers(): Promise<number> {
  return await count(`pg_locks where relation = '"JobRun"'::regclass and mode = 'RowShareLock'
      and database = (select oid from pg_database where datname = current_database())`)
}

/** A claim that no group could release is released after the last of them. */
async function waitForNone(): Promise<void> {
  await waitFor(async () => (await claims()).length === 0)
}
