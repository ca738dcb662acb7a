import { openForTests, waitFor } from '@roundsman/testing'
import type { PrismaClient } from '@roundsman/db'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createWorkerThatWaits } from '../../src/worker/createWorker.ts'
import { defineJob, type Job } from '../../src/index.ts'
import { giveBackStrays } from '../../src/liveness/rescue.ts'
import { createSettler } from '../../src/run/settler.ts'
import type { Taken } from '../../src/queue/taken.ts'
import type { Database } from '../../src/database/database.ts'
import { createClaimer } from '../../src/work/claimer.ts'
import { createHoldings, type Holdings } from '../../src/work/holdings.ts'
import { enqueueSilently } from '../countCosts.ts'
import { interceptQueries, isClaim } from '../interceptQueries.ts'
import { openTestQueue, toEnd } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', retry: { limit: 0 } })
const only = defineJob({ name: 'only', schedule: { cron: '0 0 1 1 *' } })

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, [parcel, only]))
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

const settlerOf = () =>
  createSettler({ database: runtime.database, workerId: 'w1', log: runtime.log, holdings })
const settle = async (work: readonly Taken[]) => {
  const settler = settlerOf()
  return await Promise.all(work.map((taken) => settler.settle(toEnd(taken))))
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
    const taken = await take(1_200)
    const [goesOn, work] = [taken.slice(0, 100), taken.slice(100)]
    await goBackAfter(() => settle(work))
    // What a look leaves for want of time the next one finds.
    await waitFor(async () => !(await compare()).areLeft)
    expect(await readEnds()).toEqual([{ end: 'drained', count: 1_100 }])
    expect(
      await runtime.rows(
        'select "attempt", "failures", "losses", count(*)::int from "JobWork" group by 1, 2, 3',
      ),
    ).toEqual([{ attempt: 2, failures: 0, losses: 0, count: 1_100 }])
    expect((await settle(goesOn)).map(({ kind }) => kind)).toEqual(goesOn.map(() => 'success'))
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
  })

  it('no longer keeps an exclusive job from starting by a claim that was over', async () => {
    await enqueueSilently(runtime, only, 2)
    const [first] = await take(1, only)
    await settle([first!])
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values ($1, 'only', 'w1', 'only', now(), now() + interval '1 hour', array[$2::uuid], array[now()])`,
      [first!.claim.id, first!.id],
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
    expect(await settle(work)).toMatchObject([{ kind: 'success', details: null }])
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

describe('work that is taken again while a run of a lost claim goes on', () => {
  it('starts once that run was aborted and its handler has ended', async () => {
    const events: string[] = []
    const enqueue = () => runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, parcel, {}))
    const worker = createWorkerThatWaits<readonly [typeof parcel], PrismaClient>(
      // No round looks for runs to abort.
      { roundMs: 3_600_000 },
      {
        ...runtime.workerOptions,
        jobs: [parcel],
        handlers: {
          async parcel({ run, signal }) {
            if (run.id !== workId) return
            events.push('starts')
            if (events.length > 1) return
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            events.push(signal.reason.code)
            // A later claim's run would begin meanwhile.
            await enqueue()
            await waitFor(() => isOver('"id" <> $1'))
            events.push('ends')
          },
        },
      },
    )
    const isOver = async (which: string) =>
      (await runtime.rows(`select from "JobRun" where ${which} and "status" = 'success'`, [workId]))
        .length > 0
    onTestFinished(() => worker.stop({ drainTimeoutMs: 0 }))
    const { workId } = await enqueue()
    await runtime.rows('create table back as select * from "JobWork"')
    onTestFinished(async () => void (await runtime.rows('drop table back')))
    await worker.start()
    await waitFor(() => events.length === 1)
    await runtime.rows('delete from "JobClaim"')
    await runtime.rows('insert into "JobWork" select * from back')
    await enqueue()
    await waitFor(() => isOver('"id" = $1'))
    expect(events).toEqual(['starts', 'run_lost', 'ends', 'starts'])
  })

  it('does not get the end of that run', async () => {
    await enqueueSilently(runtime, parcel, 2)
    const [first] = await take(1)
    await runtime.rows(
      `update "JobClaim" set "runIds" = "runIds" || array(select "id" from "JobWork"), "enqueuedAts" = "enqueuedAts" || now(),
         "bytes" = null, "payloads" = null`,
    )
    const [other] = await runtime.column<string>('delete from "JobWork" returning "id"')
    const lost = { ...first!, claim: { id: crypto.randomUUID(), open: new Set([first!.id]) } }
    const beside = { ...first!, id: other!, workId: other! }
    const settler = settlerOf()
    const error = { code: 'run_lost', message: 'Lost' }
    const outcomes = await Promise.all([
      settler.settle(toEnd(lost, { error, next: { kind: 'again', delayMs: 0 } })),
      settler.settle(toEnd(beside)),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['lost', 'success'])
    expect(await runtime.column('select "id" from "JobRun"')).toEqual([other])
  })
})
