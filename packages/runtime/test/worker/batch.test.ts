import type { PrismaClient } from '@roundsman/db'
import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob, type Handler, type TransactionOf } from '../../src/contract/index.ts'
import { runOnce } from '../../src/worker/index.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

type BatchHandler = Handler<Record<string, never>, TransactionOf<PrismaClient>>

const fill = defineJob({ name: 'fill', description: '' })

let runtime: TestRuntime

beforeAll(async () => {
  runtime = await openTestRuntime([fill])
  // A violation shows when the transaction commits, after all of its statements have succeeded.
  await runtime.rows(
    'create table "Effect" (n int constraint once unique deferrable initially deferred)',
  )
})

afterAll(() => runtime.close())

beforeEach(() => runtime.rows('truncate "Effect", "JobRun"'))

function run(handler: BatchHandler) {
  const { url, prisma, log } = runtime
  return runOnce({ databaseUrl: url, prisma, job: fill, handler, log })
}

const insert = (tx: TransactionOf<PrismaClient>, n: number) =>
  tx.$executeRawUnsafe('insert into "Effect" values ($1)', n)

describe('ctx.batch', () => {
  it('counts nothing of a batch whose commit fails', async () => {
    const result = await run(async ({ batch }) => {
      await batch(async (tx) => ({ effects: (await insert(tx, 1)) + (await insert(tx, 2)) }))
      await batch(async (tx) => ({ effects: (await insert(tx, 3)) + (await insert(tx, 2)) }))
    })

    expect(result).toMatchObject({
      run: { status: 'failed', details: { effects: 2, batches: 1 } },
    })
    expect(await runtime.rows('select n from "Effect" order by n')).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('counts nothing of a batch that throws', async () => {
    const result = await run(async ({ batch }) => {
      await batch(async (tx) => ({ effects: await insert(tx, 1) }))
      await batch(async (tx) => {
        await insert(tx, 2)
        throw new Error('no luck')
      })
    })

    expect(result).toMatchObject({ run: { status: 'failed', details: { effects: 1, batches: 1 } } })
    expect(await runtime.rows('select n from "Effect"')).toEqual([{ n: 1 }])
  })

  it('whoever looks, whenever, sees as many effects as are counted', async () => {
    let isOver = false
    const running = run(async ({ batch }) => {
      for (let n = 0; n < 300; n++) await batch(async (tx) => ({ effects: await insert(tx, n) }))
    }).finally(() => (isOver = true))

    const seen = new Set<number>()
    const wrong: { said: number; did: number }[] = []
    await waitFor(
      async () => {
        // One statement, one snapshot.
        const [row] = await runtime.rows<{ said: number; did: number }>(
          `select (select count(*)::int from "Effect") as did,
                  (select coalesce(sum(("details" ->> 'effects')::int), 0)::int from "JobRun") as said`,
        )
        if (row!.said !== row!.did) wrong.push(row!)
        seen.add(row!.did)
        return isOver
      },
      { intervalMs: 1 },
    )
    expect(await running).toMatchObject({ run: { details: { effects: 300, batches: 300 } } })
    expect(wrong).toEqual([])
    // It has been looked at in the middle.
    expect(seen.size).toBeGreaterThan(10)
  })
})
