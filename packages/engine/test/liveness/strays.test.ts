import { openForTests, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { giveBackStrays } from '../../src/liveness/rescue.ts'
import type { IntendedEnd } from '../../src/run/settler.ts'
import { createSettler } from '../../src/run/settler.ts'
import type { TakenWork } from '../../src/store/claimWork.ts'
import type { Database } from '../../src/store/database.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createHoldings, type Holdings } from '../../src/work/holdings.ts'
import { enqueueSilently } from '../countCosts.ts'
import { interceptQueries, isClaim } from '../interceptQueries.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', retry: { limit: 0 } })
const only = defineJob({ name: 'only', schedule: { cron: '0 0 1 1 *' } })

const runtime = useTestRuntime()
openForTests(() => openTestQueue(runtime, [parcel, only]))
let holdings: Holdings

beforeEach(async () => {
  await runtime.clear()
  holdings = createHoldings()
})

const claimerOf = (database = runtime.database) =>
  createClaimer({ database, workerId: 'w1', now: () => new Date(), holdings })
const take = async (count: number, job: Job = parcel) => (await claimerOf().claim(job, count)).work
const compare = async (database: Database = runtime.database) => {
  const of = { database, log: runtime.log, now: () => new Date(), workerId: 'w1', holdings }
  const { ended, areLeft } = await giveBackStrays(of)
  return { ended: ended.length, areLeft }
}

const success = (taken: TakenWork): IntendedEnd => ({
  taken,
  retry: parcel.retry,
  endedAt: new Date(),
  details: null,
  failure: null,
})
const settlerOf = () =>
  createSettler({ database: runtime.database, workerId: 'w1', log: runtime.log, holdings })
const settle = async (work: readonly TakenWork[]) => {
  const settler = settlerOf()
  return await Promise.all(work.map((taken) => settler.settle(success(taken))))
}
/** Has the database go back to how it is now once `later` is over, as far as ends and claims are concerned. */
async function goBackAfter(later: () => Promise<unknown>): Promise<void> {
  await runtime.rows('create table back as select * from "JobClaim"')
  await later()
  await runtime.rows('delete from "JobClaim"')
  await runtime.rows('insert into "JobClaim" select * from back')
  await runtime.rows('drop table back')
  await runtime.rows('delete from "JobRun"')
}
const readEnds = () =>
  runtime.rows(
    `select coalesce("errorCode", "status"::text) as "end", count(*)::int from "JobRun" group by 1`,
  )

describe('a database that has lost ends', () => {
  it('gets the work of all of them back, which has lost neither a retry nor a worker', async () => {
    await enqueueSilently(runtime, parcel, 1_200)
    const work = await take(1_200)
    const goesOn = work.splice(0, 100)
    await goBackAfter(() => settle(work))
    // What a look leaves for want of time the next one finds.
    await waitFor(async () => !(await compare()).areLeft)
    expect(await readEnds()).toEqual([{ end: 'drained', count: 1_100 }])
    expect(
      await runtime.rows(
        'select "attempt", "failures", "losses", count(*)::int from "JobWork" group by 1, 2, 3',
      ),
    ).toEqual([{ attempt: 2, failures: 0, losses: 0, count: 1_100 }])
    expect((await settle(goesOn)).map(({ kind }) => kind)).toEqual(goesOn.map(() => 'settled'))
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('no longer keeps an exclusive job from starting by a claim that was over', async () => {
    await enqueueSilently(runtime, only, 2)
    const [first] = await take(1, only)
    await settle([first!])
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values ($1, 'only', 'w1', 'only', now(), now() + interval '1 hour', array[$2::uuid], array[now()])`,
      [first!.held.id, first!.run.id],
    )
    expect(await compare()).toEqual({ ended: 0, areLeft: false })
    expect(await take(1, only)).toHaveLength(1)
  })
})

describe('a run is not given back', () => {
  it.each([
    { what: 'arrives', isLost: false },
    { what: 'is lost', isLost: true },
  ])('before the answer of its claim $what, nor when its handler starts', async ({ isLost }) => {
    await enqueueSilently(runtime, parcel, 1)
    const [hasClaimed, mayAnswer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const database = interceptQueries(runtime.database, async (carryOut, statement) => {
      const result = await carryOut()
      if (!isClaim(statement)) return result
      hasClaimed.resolve()
      await mayAnswer.promise
      if (isLost) throw new Error('connection lost')
      return result
    })
    const claiming = claimerOf(database).claim(parcel, 1)
    await hasClaimed.promise
    expect(await runtime.rows('select from "JobClaim"')).toHaveLength(1)
    expect(await compare()).toEqual({ ended: 0, areLeft: false })
    mayAnswer.resolve()
    const { work } = await claiming
    expect(work).toHaveLength(1)
    expect(await compare()).toEqual({ ended: 0, areLeft: false })
    expect(await settle(work)).toEqual([{ kind: 'settled', details: null }])
  })

  it('while the answer to its end is on its way, nor when it has ended since the look', async () => {
    await enqueueSilently(runtime, parcel, 1)
    const work = await take(1)
    const database = interceptQueries(runtime.database, async (carryOut) => {
      const result = await carryOut()
      await settle(work)
      return result
    })
    expect(await compare(database)).toMatchObject({ ended: 0 })
    expect(await readEnds()).toEqual([{ end: 'success', count: 1 }])
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
  })
})
