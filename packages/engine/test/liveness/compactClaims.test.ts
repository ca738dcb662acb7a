import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { compactClaims } from '../../src/queue/claimWork.ts'
import { HELD_COLUMNS, heldSql } from '../../src/queue/heldRuns.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { openTestQueue, type TestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({
  name: 'parcel',
  payload: z.object({ n: z.number(), text: z.string() }),
  // Some have none.
  label: ({ n }) => {
    if (n % 3 > 0) throw new Error('no label')
    return `Parcel ${n}`
  },
})

const runtime = useTestRuntime({ cleared: ['JobWorker'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

/** A claim of so many pieces, old enough, of which no two are alike. */
async function take(count: number): Promise<TestWork[]> {
  const items = Array.from({ length: count }, (_, n) => ({
    // Some are too long for the claim's row.
    payload: { n, text: 'x'.repeat(n % 4 === 0 ? 2_000 : n) },
    options: {
      priority: n % 2,
      ...(n % 5 === 0 && { uniqueKey: `${n}` }),
      ...(n % 7 === 0 && { expiresAt: new Date(Date.now() + 3_600_000) }),
    },
  }))
  await opened.client.enqueueManyNow(parcel, items)
  await runtime.rows('update "JobWork" set "attempt" = 2, "failures" = 1 where "rank" < 0')
  const work = await opened.take('parcel', count)
  await runtime.rows(`update "JobClaim" set "createdAt" = now() - interval '11 seconds'`)
  return work
}

const complete = (work: readonly TestWork[]) => opened.complete(work)
const compact = () => compactClaims(runtime.database, 'w1')
const sizes = () => runtime.column<number>('select cardinality("runIds") as size from "JobClaim"')
/** All that claims say about these runs. */
const heldOf = (work: readonly TestWork[]) =>
  runtime.rows(
    `select ${HELD_COLUMNS} from "JobClaim" ${heldSql('claim."payloads"')} where held."runId" = any($1) order by held."runId"`,
    [work.map(({ runId }) => runId)],
  )

describe('a claim of which a part has ended', () => {
  it('loses what has ended, and nothing of what goes on, which ends as ever', async () => {
    const work = await take(40)
    const [over, goesOn] = [work.slice(0, 25), work.slice(25)]
    await recordRunning(runtime.database, 'w1', goesOn[0]!)
    goesOn[0]!.hasRow = true
    await complete(over)
    const before = await heldOf(goesOn)
    await compact()
    expect(await sizes()).toEqual([15])
    expect(before).toHaveLength(15)
    expect(await heldOf(goesOn)).toEqual(before)
    await complete(goesOn)
    expect(await runtime.rows('select from "JobClaim"')).toEqual([])
    expect(await runtime.rows(`select from "JobRun" where "status" = 'success'`)).toHaveLength(40)
    expect(
      await runtime.rows('select from "JobUnique" union all select from "JobPayload"'),
    ).toEqual([])
  })

  it('gives back what is left with its payloads when its worker is lost', async () => {
    const work = await take(20)
    await complete(work.slice(0, 18))
    await compact()
    await runtime.rows(`update "JobClaim" set "workerId" = 'gone'`)
    await runtime.rows(`insert into "JobWorker" ("id") values ('gone')`)
    const { database, log } = runtime
    await rescueLostRuns({ database, log, now: () => new Date(), workerId: 'w1' })
    const again = await opened.take('parcel')
    const payloadsOf = (these: readonly TestWork[]) =>
      new Map(these.map(({ workId, payload }) => [workId, payload]))
    expect(payloadsOf(again)).toEqual(payloadsOf(work.slice(18)))
  })

  it('is compacted while an end of it is being written, and both come through', async () => {
    const work = await take(10)
    await complete(work.slice(0, 5))
    await runtime.database.transaction(async (tx) => {
      // As an end keeps the claim.
      await tx.query('select from "JobClaim" for key share')
      await compact()
    })
    expect(await sizes()).toEqual([5])
    await complete(work.slice(5))
    expect(await sizes()).toEqual([])
  })
})

describe('a claim is left as it is', () => {
  it('while it is young, while hardly any of it has ended, and when all of it has', async () => {
    const work = await take(20)
    await complete(work.slice(0, 1))
    await compact()
    expect(await sizes()).toEqual([20])
    await complete(work.slice(1, 10))
    await runtime.rows('update "JobClaim" set "createdAt" = now()')
    await compact()
    expect(await sizes()).toEqual([20])
    await runtime.rows(`update "JobClaim" set "createdAt" = now() - interval '11 seconds'`)
    // Somebody else is to let it go.
    for (const { claim } of work) claim.open.add('another run')
    await complete(work.slice(10))
    await compact()
    expect(await sizes()).toEqual([20])
  })

  it('while another session has it locked, and where it is not of this worker', async () => {
    const work = await take(4)
    await complete(work.slice(0, 2))
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobClaim" for update')
      await compact()
    })
    await compactClaims(runtime.database, 'w2')
    expect(await sizes()).toEqual([4])
  })
})
