import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { PrismaClient } from '@roundsman/db'
import { openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { v7 as uuid } from 'uuid'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { defineJob, type Handler, type TransactionOf } from '../../src/index.ts'
import { createSession } from '../../src/liveness/session.ts'
import { createCancellations, type Cancellations } from '../../src/run/cancellations.ts'
import { ABORT_GRACE_MS } from '../../src/run/abort.ts'
import { performRun, type RunManner, type RunServices } from '../../src/run/performRun.ts'
import { createSettler } from '../../src/run/settler.ts'
import { claimByHand } from '../../src/queue/claimByHand.ts'
import { createWakeUps } from '../../src/work/wakeUps.ts'
import { interceptQueries, textOf } from '../interceptQueries.ts'
import { openBeside } from '../openBeside.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const brief = defineJob({ name: 'brief', timeoutMs: 4_321, dryRun: true })

type BriefHandler = Handler<Record<string, never>, TransactionOf<PrismaClient>>

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [brief]))
let cancellations: Cancellations
/** How many statements asked about watched runs. */
let looks = 0

beforeAll(async () => {
  const { url, database, log } = runtime
  const session = createSession({ url, database, workerId: 'w1', log })
  cancellations = createCancellations({
    database: { ...database, query: (...of) => (looks++, database.query<never>(...of)) },
    session,
    wakeUps: createWakeUps(database),
    workerId: 'w1',
  })
})

async function perform(
  handler: BriefHandler,
  { dryRun = false, ...others }: Partial<RunServices & RunManner> & { dryRun?: boolean } = {},
) {
  const { database, prisma, log } = runtime
  const asked = {
    ...{ claimId: uuid(), runId: uuid(), name: brief.name, startedAt: new Date(), payload: {} },
    ...{ facts: { trigger: 'cli' as const, dryRun }, exclusiveKey: null, expireSeconds: 900 },
  }
  const taken = await database.transaction((tx) => claimByHand(tx, 'w1', asked))
  if (taken === null || 'full' in taken) throw new Error('The run was not claimed')
  const settler = createSettler({ database, workerId: 'w1', log })
  const services = {
    client: prisma,
    settler,
    cancellations,
    database,
    enqueueFrom: () => opened.client.enqueue,
    workerId: 'w1',
    log,
  }
  const ending = await performRun({ ...services, now: () => new Date(), ...others }, taken, {
    job: brief,
    handler,
    ...others,
  })
  const error = ending.kind === 'failed' ? ending.details?.['error'] : null
  const failure = error ? { error: error as { message: string } } : null
  return {
    settlement: { failure },
    outcome: { kind: ending.kind === 'lost' ? ('lost' as const) : ('settled' as const) },
  }
}

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

describe('once a run has ended', () => {
  it.each([
    { how: 'succeeded', handler: async () => undefined },
    { how: 'failed', handler: () => Promise.reject(new Error('no luck')) },
  ])('and $how, it is watched no longer, and leaves no timer', async ({ handler }) => {
    // The query makes sure that the pool's own timer for idle connections is counted before, too.
    await runtime.rows('select 1')
    const before = timers()
    for (let n = 0; n < 5; n++) await perform(handler)
    looks = 0
    await cancellations.check()
    expect(looks).toBe(0)
    await waitFor(() => timers() <= before)
  })

  it.each<{ how: string; limitsMs: number[]; handler: BriefHandler }>([
    { how: 'succeeded', limitsMs: [brief.timeoutMs], handler: async () => undefined },
    {
      how: 'failed',
      limitsMs: [brief.timeoutMs],
      handler: () => Promise.reject(new Error('no luck')),
    },
    {
      how: 'heeded that it was cancelled',
      limitsMs: [brief.timeoutMs, ABORT_GRACE_MS],
      handler: async ({ run, signal }) => {
        await runtime.rows(
          `insert into "JobCancel" ("runId", "name", "requestedBy") values ($1, $2, 'ann')`,
          [run.id, run.name],
        )
        await cancellations.check()
        signal.throwIfAborted()
      },
    },
  ])('and $how, its limits are none of the process any more', async ({ limitsMs, handler }) => {
    const [set, clear] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')]
    try {
      await perform(handler)
      for (const limitMs of limitsMs) {
        const own = set.mock.results.filter((_, at) => set.mock.calls[at]?.[1] === limitMs)
        expect(own).not.toEqual([])
        const cleared = clear.mock.calls.map(([timer]) => timer)
        expect(own.every(({ value }) => cleared.includes(value as never))).toBe(true)
      }
    } finally {
      set.mockRestore()
      clear.mockRestore()
    }
  })

  it('reports of progress that come late are not kept, and leave no timer', async () => {
    let late: () => void = () => undefined
    await perform(async ({ progress }) => {
      progress(1, 2)
      late = () => progress(2, 2)
    })
    const before = timers()
    late()
    expect(timers()).toBe(before)
    expect(await runtime.rows('select "progress" from "JobRun"')).toEqual([
      { progress: { done: 1, total: 2 } },
    ])
  })
})

it('a dry run may take as long as its job, in one transaction', async () => {
  const seen: unknown[] = []
  const prisma = {
    $transaction: (work: (tx: unknown) => Promise<unknown>, options?: object) => {
      seen.push(options)
      return runtime.prisma.$transaction(work as never, options)
    },
  }
  await perform(async ({ batch }) => void (await batch(async () => ({ n: 1 }))), {
    dryRun: true,
    client: prisma,
  })
  expect(seen).toMatchObject([{ timeout: brief.timeoutMs }])
})

it('a run whose progress can never be kept ends all the same', async () => {
  const database = { ...runtime.database, query: () => new Promise<never>(() => undefined) }
  const { settlement } = await perform(async ({ progress }) => progress(1), { database })
  expect(settlement.failure).toBeNull()
})

it('an execution that breaks its promise of a result leaves a run that has failed', async () => {
  const execute = () => Promise.reject(new Error('broken'))
  const { settlement, outcome } = await perform(async () => undefined, { execute })
  expect([settlement.failure?.error.message, outcome.kind]).toEqual(['broken', 'settled'])
})

it('a run that waits for its end to be recorded keeps neither its payload nor its context', async () => {
  const kept: WeakRef<object>[] = []
  // Its schema hands on the payload itself.
  const any = defineJob({ name: 'any', payload: z.unknown() })
  await startTestWorker(runtime, {
    jobs: [any],
    handlers: {
      async any(context) {
        kept.push(new WeakRef(context), new WeakRef(context.payload as object))
      },
    },
  })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const free = Promise.withResolvers<void>()
  const locked = openBeside(runtime).transaction(async (tx) => {
    await tx.query('lock table "JobRun" in share mode')
    await opened.client.enqueueNow(any, { text: 'long' })
    await free.promise
  })
  try {
    await waitFor(() => kept.length === 2)
    await waitFor(() => {
      collect()
      return kept.every((one) => one.deref() === undefined)
    })
    expect(await runtime.rows('select from "JobClaim" where "name" = \'any\'')).toHaveLength(1)
  } finally {
    free.resolve()
    await locked
  }
  await waitFor(
    async () => (await runtime.rows('select from "JobClaim" where "name" = \'any\'')).length === 0,
  )
})

it('a run that a person has started has no retries left', async () => {
  expect(brief.retry.limit).toBeGreaterThan(0)
  let left: number | undefined
  await perform(async ({ run }) => void (left = run.retriesLeft))
  expect(left).toBe(0)
})

it('a run that could not be recorded before a batch is recorded before the next', async () => {
  let refusals = 0
  const database = interceptQueries(runtime.database, async (carryOut, statement) => {
    const isOfRun = textOf(statement).includes('on conflict ("id") do nothing')
    if (isOfRun && refusals++ === 0)
      throw Object.assign(new pg.DatabaseError('denied', 0, 'error'), { code: '42501' })
    return await carryOut()
  })
  const handler: BriefHandler = async ({ batch }) => {
    await expect(batch(async () => ({ done: 1 }))).rejects.toThrow('denied')
    await batch(async () => ({ done: 1 }))
  }
  expect((await perform(handler, { database })).settlement).toEqual({ failure: null })
  expect(refusals).toBe(2)
})
