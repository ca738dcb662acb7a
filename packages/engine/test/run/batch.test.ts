// Not quick: commits hundreds of batches.
import type { PrismaClient } from '@roundsman/db'
import { fakeClock, waitFor } from '@roundsman/testing'
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import { defineJob, type Handler, type TransactionOf } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

type BatchHandler = Handler<Record<string, never>, TransactionOf<PrismaClient>>

const fill = defineJob({ name: 'fill' })

const runtime = useTestRuntime({ cleared: ['Effect'] })

beforeAll(async () => {
  // Deferred: a violation shows at the commit, after all statements have succeeded.
  await runtime.rows(
    'create table "Effect" (n int constraint once unique deferrable initially deferred)',
  )
})

function run(handler: BatchHandler, now?: () => Date) {
  const { url, prisma, log } = runtime
  return runOnce({
    schema: 'public',
    databaseUrl: url,
    client: prisma,
    job: fill,
    handler,
    log,
    ...(now && { now }),
  })
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

  it('commits what a batch does that counts nothing', async () => {
    const result = await run(async ({ batch }) => {
      const counted = await batch(async (tx) => {
        await insert(tx, 1)
      })
      expectTypeOf(counted).toEqualTypeOf<void>()
      expectTypeOf(await batch(async () => ({ cleaned: 0 }))).toEqualTypeOf<{ cleaned: number }>()
      // @ts-expect-error a count is a number
      await expect(batch(async () => 'three')).rejects.toMatchObject({ code: 'counts_invalid' })
    })

    expect(result).toMatchObject({ run: { status: 'success', details: { batches: 0 } } })
    expect(await runtime.rows('select n from "Effect"')).toEqual([{ n: 1 }])
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
        // One statement sees one snapshot.
        const [row] = await runtime.rows<{ said: number; did: number }>(
          `select (select count(*)::int from "Effect") as did,
                  (select coalesce(sum(("details" ->> 'effects')::int), 0)::int from "JobRun") as said`,
        )
        if (row!.said !== row!.did) wrong.push(row!)
        seen.add(row!.did)
        return isOver
      },
      { intervalMs: 1, timeoutMs: 80_000 },
    )
    expect(await running).toMatchObject({ run: { details: { effects: 300, batches: 300 } } })
    expect(wrong).toEqual([])
    // The look-ups happened while the batches went on.
    expect(seen.size).toBeGreaterThan(10)
  })
})

describe('the marks of batches', () => {
  const clock = fakeClock('2026-11-24T03:00:00.000Z')

  /** Runs so many batches of ten rows, each of which takes a second. */
  const steadily = (batches: number) =>
    run(async ({ batch }) => {
      for (let n = 0; n < batches; n++) {
        clock.advance(1_000)
        await batch(async () => ({ cleaned: 10 }))
      }
    }, clock.now)

  async function marks() {
    const [row] = await runtime.rows<{ startedAt: Date; batchMarks: Mark[] | null }>(
      'select "startedAt", "batchMarks" from "JobRun"',
    )
    const { startedAt, batchMarks } = row!
    return batchMarks?.map(({ at, batches, counts }) => ({
      ms: at - startedAt.getTime(),
      batches,
      ...counts,
    }))
  }

  it('say when each was counted, and what had been by then', async () => {
    await steadily(3)
    expect(await marks()).toEqual([
      { ms: 1_000, batches: 1, cleaned: 10 },
      { ms: 2_000, batches: 2, cleaned: 20 },
      { ms: 3_000, batches: 3, cleaned: 30 },
    ])
  })

  it.each([
    { batches: 16, kept: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] },
    { batches: 17, kept: [1, 2, 4, 6, 8, 10, 12, 14, 16, 17] },
    { batches: 100, kept: [1, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 100] },
  ])('are thinned, and those that stay are exact: $batches', async ({ batches, kept }) => {
    await steadily(batches)
    expect(await marks()).toEqual(
      kept.map((nth) => ({ ms: 1_000 * nth, batches: nth, cleaned: 10 * nth })),
    )
  })

  it('are none of a batch that changed nothing or was rolled back, nor of a run without batches', async () => {
    await run(async ({ batch }) => {
      await batch(async () => ({ cleaned: 0 }))
      clock.advance(1_000)
      await batch(async () => ({ cleaned: 5 }))
      clock.advance(1_000)
      await batch(async () => ({ cleaned: 0 }))
      await batch(async () => {
        throw new Error('no luck')
      })
    }, clock.now)
    expect(await marks()).toEqual([{ ms: 1_000, batches: 1, cleaned: 5 }])
    await runtime.clear()
    await run(async () => ({ cleaned: 1 }))
    expect(await marks()).toBeUndefined()
  })
})

interface Mark {
  at: number
  batches: number
  counts: { cleaned: number }
}
