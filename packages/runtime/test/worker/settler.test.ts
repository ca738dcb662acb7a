import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/contract/index.ts'
import type { ClaimedWork } from '../../src/queue/claimWork.ts'
import type { Database } from '../../src/queue/database.ts'
import { createSettler, type HeldClaim, type Settlement } from '../../src/worker/settler.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel])
  opened = await openTestQueue(runtime, [parcel])
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.rows('truncate "JobRun", "JobClaim"')
  await runtime.rows('delete from pgboss.job')
})

const settlerOf = (database: Database = runtime.database) =>
  createSettler({ database, queue: opened.queue, workerId: 'w1', log: runtime.log })

/** With one claim. */
async function take(count: number): Promise<ClaimedWork[]> {
  const items = Array.from({ length: count }, () => ({ payload: {} }))
  await runtime.prisma.$transaction((tx) => opened.client.enqueueMany(tx, parcel, items))
  return await opened.take('parcel', count)
}

const heldBy = (work: readonly ClaimedWork[]): HeldClaim => ({
  id: work[0]!.claimId,
  open: work.length,
})

const settlement = (
  { runId, queueJobId, name, attempt }: ClaimedWork,
  held: HeldClaim,
  failure: Settlement['failure'] = null,
): Settlement => ({
  id: runId,
  endedAt: new Date(),
  details: null,
  delivery: { queueJobId, name, attempt },
  failure,
  held,
})

const claims = () => runtime.rows<{ id: string }>('select "id" from "JobClaim"')
const count = async (of: string) =>
  (await runtime.rows<{ n: number }>(`select count(*)::int n from ${of}`))[0]!.n

describe('a claim', () => {
  it('is let go when the last of its runs is settled, and not before', async () => {
    const settler = settlerOf()
    const work = await take(3)
    const held = heldBy(work)
    const [first, ...others] = work.map((one) => settlement(one, held))
    await settler.settle(first!)
    expect(await claims()).toEqual([{ id: held.id }])
    await Promise.all(others.map((one) => settler.settle(one)))
    expect(await claims()).toEqual([])
  })

  it('is let go when two groups settle its runs at the same time', async () => {
    let under = 0
    let most = 0
    const settler = settlerOf({
      ...runtime.database,
      async query(statement, values) {
        most = Math.max(most, ++under)
        return await runtime.database.query<never>(statement, values).finally(() => under--)
      },
    })
    // More than one group takes.
    const work = await take(3_000)
    const held = heldBy(work)
    const outcomes = await Promise.all(work.map((one) => settler.settle(settlement(one, held))))
    expect(most).toBe(2)
    expect(outcomes.every(({ kind }) => kind === 'settled')).toBe(true)
    await waitForNone()
    expect(await count('pgboss.job')).toBe(0)
    expect(await count(`"JobRun" where "status" = 'success'`)).toBe(3_000)
  })

  it('stays while a run of it could not be settled, and goes with the attempt that succeeds', async () => {
    let failures = 1
    const settler = settlerOf({
      ...runtime.database,
      async query(statement, values) {
        if (failures-- > 0) throw new Error('connection lost')
        return await runtime.database.query<never>(statement, values)
      },
    })
    const [one] = await take(1)
    const held = heldBy([one!])
    expect(await settler.settle(settlement(one!, held))).toEqual({ kind: 'settled', details: null })
    expect(failures).toBeLessThan(0)
    expect(await claims()).toEqual([])
    expect(await count('pgboss.job')).toBe(0)
  })
})

describe('a run that is settled', () => {
  it('keeps what its batches have counted', async () => {
    const settler = settlerOf()
    const work = await take(3)
    const held = heldBy(work)
    const [counted, both, none] = work
    await runtime.rows(`update "JobRun" set "details" = '{"cleaned": 3}' where "id" = any($1)`, [
      [counted!.runId, both!.runId],
    ])
    const outcomes = await Promise.all([
      settler.settle(settlement(counted!, held)),
      settler.settle({ ...settlement(both!, held), details: { seen: 5 } }),
      settler.settle({ ...settlement(none!, held), details: { seen: 5 } }),
    ])
    const details = [{ cleaned: 3 }, { cleaned: 3, seen: 5 }, { seen: 5 }]
    expect(outcomes).toEqual(details.map((of) => ({ kind: 'settled', details: of })))
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
    const held = heldBy(work)
    const error = { code: 'broken', message: 'broken' }
    await runtime.rows(
      `update "JobRun" set "status" = 'failed', "errorCode" = 'worker_lost', "endedAt" = now() where "id" = $1`,
      [lost!.runId],
    )
    await runtime.database.transaction((tx) =>
      opened.queue.fail(tx, [lost!], { code: 'worker_lost', message: '' }, 'redeliver'),
    )
    const readLost = () =>
      runtime.rows('select to_jsonb(job) as row from pgboss.job job where id = $1', [
        lost!.queueJobId,
      ])
    const before = await readLost()
    const outcomes = await Promise.all(
      [lost!, own!].map((one) => settler.settle(settlement(one, held, { error, next: 'giveUp' }))),
    )
    expect(outcomes).toEqual([{ kind: 'lost' }, { kind: 'settled', details: null }])
    expect(await readLost()).toEqual(before)
    expect(
      await runtime.rows('select state::text from pgboss.job where id = $1', [own!.queueJobId]),
    ).toEqual([{ state: 'failed' }])
    expect(await runtime.rows('select "errorCode" from "JobRun" order by "errorCode"')).toEqual([
      { errorCode: 'broken' },
      { errorCode: 'worker_lost' },
    ])
    expect(await claims()).toEqual([])
  })
})

describe('a settlement whose answer was lost', () => {
  /** What is sent first is carried out, and nobody hears of it. */
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
    runtime.rows<{ state: string; retry_limit: number }>('select * from pgboss.job order by id')

  it('is taken for settled, with the details of the whole run', async () => {
    const [one] = await take(1)
    await runtime.rows(`update "JobRun" set "details" = '{"cleaned": 3}'`)
    const settler = settlerOf(deafOnce())
    const outcome = await settler.settle({
      ...settlement(one!, heldBy([one!])),
      details: { seen: 5 },
    })
    expect(outcome).toEqual({ kind: 'settled', details: { cleaned: 3, seen: 5 } })
    expect(await readWork()).toEqual([])
  })

  it.each(['retry', 'redeliver', 'giveUp'] as const)(
    'does not do again what became of its work: %s',
    async (next) => {
      const work = await take(3)
      const held = heldBy(work)
      let before: unknown
      const settler = settlerOf(deafOnce(async () => (before = await readWork())))
      const outcomes = await Promise.all(
        work.map((one) => settler.settle(settlement(one, held, { error, next }))),
      )
      expect(outcomes).toEqual(Array(3).fill({ kind: 'settled', details: null }))
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
    expect(
      await settler.settle(settlement(one!, heldBy([one!]), { error, next: 'giveUp' })),
    ).toEqual({ kind: 'lost' })
  })
})

/** What no group could let go follows the last of them. */
async function waitForNone(): Promise<void> {
  await waitFor(async () => (await claims()).length === 0)
}
