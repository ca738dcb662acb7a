import { setTimeout as delay } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import {
  defineJob,
  defineLimit,
  defineSignal,
  isScheduled,
  type Job,
  type HandlersFor,
  type RunContext,
  type TransactionOf,
} from '@roundsman/engine'
import { z } from 'zod'
import type { Random } from '../createRandom.ts'

// An attempt fails when its connection is cut. Here no number of failures is the job's fault.
const retry = { limit: 1_000, delayMs: 1_000, maxDelayMs: 2_000 }

/** Less than its two jobs may do by themselves. */
const narrow = defineLimit({ name: 'narrow', global: 12 })

const common = { timeoutMs: 120_000, retry, limits: [narrow] }

/** Leaves one effect for each queue id, however often it is delivered. */
export const effect = defineJob({
  ...common,
  name: 'effect',
  payload: z.object({ tenant: z.string() }),
  partition: { key: ({ tenant }) => tenant },
  concurrency: { perWorker: 20, global: 10, perKey: 2 },
})
/** Marks the row of its payload, those of a tenant in order. It says nothing before its end, so that its run is written once. */
export const touch = defineJob({
  ...common,
  name: 'touch',
  payload: z.object({ id: z.uuid(), filler: z.string(), tenant: z.string() }),
  partition: { key: ({ tenant }) => tenant, order: 'fifo' },
  concurrency: 20,
})
/** A clean-up that takes as long as the suite runs, so that it is hit again and again. */
export const sweep = defineJob({ name: 'sweep', concurrency: 1, retry })

export const answered = defineSignal({ name: 'answered' })
/** A part of a walk. */
const part = defineJob({ name: 'part', concurrency: 20, timeoutMs: 120_000, retry })
/** Durable work with a step of each kind. */
export const walk = defineJob({
  name: 'walk',
  payload: z.object({ id: z.uuid() }),
  ...{ concurrency: 10, timeoutMs: 120_000, retry },
  steps: { call: {}, charge: { effect: 'once' }, book: {}, answer: {}, parts: {}, pause: {} },
})

/** Every second, skipped while one runs. */
const tickSkip = defineJob({
  name: 'tickSkip',
  schedule: { cron: '* * * * * *', overlap: 'skip', missed: 'once' },
  retry,
})
/** Every other second, each of them, one after the other. */
const tickQueue = defineJob({
  name: 'tickQueue',
  schedule: { cron: '*/2 * * * * *', overlap: 'queue', missed: 'all' },
  retry,
})
/** Every second, each of them, side by side. */
const tickAllow = defineJob({
  name: 'tickAllow',
  schedule: { cron: '* * * * * *', overlap: 'allow', missed: 'all' },
  retry,
})
/** Every third second, never late, on a clock with summer time. */
const tickDrop = defineJob({
  name: 'tickDrop',
  schedule: { cron: '*/3 * * * * *', timeZone: 'Europe/Berlin', overlap: 'allow', missed: 'skip' },
  retry,
})

/** The catalogue of the suite's workers. */
export const chaosJobs = [
  effect,
  touch,
  part,
  walk,
  sweep,
  tickSkip,
  tickQueue,
  tickAllow,
  tickDrop,
] as const

export const chaosSchedules = (chaosJobs as readonly Job[]).filter(isScheduled)

export interface HandlerOptions {
  client: Pick<PrismaClient, '$executeRawUnsafe' | '$queryRawUnsafe'>
  random: Random
  /** Rows that one batch of the sweep marks. */
  sweepBatch: number
  /** The pause between two batches of the sweep. */
  sweepPauseMs: () => number
}

export const PARTS = 3

type Context = Pick<RunContext<never, TransactionOf<PrismaClient>>, 'run' | 'batch' | 'signal'>

export function createChaosHandlers({
  client,
  random,
  sweepBatch,
  sweepPauseMs,
}: HandlerOptions): HandlersFor<typeof chaosJobs, TransactionOf<PrismaClient>> {
  const linger = async () => {
    if (random.chance(0.3)) await delay(random.integer(0, 50))
  }

  async function leaveEffect({ run, batch }: Context): Promise<void> {
    await linger()
    await batch(async (tx) => {
      const effects = await tx.$executeRawUnsafe(
        `insert into "ChaosEffect" ("workId", "runId")
         select "workId", "id" from "JobRun" where "id" = $1::uuid
         on conflict do nothing`,
        run.id,
      )
      if (random.chance(0.1)) await linger()
      return { effects }
    })
    await linger()
  }

  async function sweepRows({ run, batch, signal }: Context): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const { swept } = await batch(async (tx) => ({
        swept: await tx.$executeRawUnsafe(SWEEP_SQL, run.id, sweepBatch),
      }))
      if (swept === 0) return
      await delay(sweepPauseMs(), undefined, { signal })
    }
  }

  return {
    effect: leaveEffect,
    async touch({ payload }) {
      await linger()
      await client.$executeRawUnsafe(
        'update "ChaosTouch" set "isDone" = true where "id" = $1::uuid',
        payload.id,
      )
      await linger()
    },
    part: leaveEffect,
    async walk({ run, payload: { id }, step }) {
      await step.run('call', async ({ key }) => {
        await linger()
        await client.$executeRawUnsafe(
          'insert into "ChaosCall" values ($1::uuid, $2) on conflict do nothing',
          id,
          key,
        )
      })
      // It is refused the second time, and has no keys.
      await step.run(
        'charge',
        async () => {
          await client.$executeRawUnsafe('insert into "ChaosCharge" values ($1::uuid)', id)
          await linger()
        },
        {
          verify: async () => {
            const sql = 'select 1 from "ChaosCharge" where "id" = $1::uuid'
            const found = await client.$queryRawUnsafe<unknown[]>(sql, id)
            return found.length > 0 ? { done: undefined } : 'absent'
          },
        },
      )
      await step.tx('book', async (tx, { count }) => {
        await tx.$executeRawUnsafe(
          'insert into "ChaosBooking" values ($1::uuid, $2::uuid)',
          id,
          run.id,
        )
        if (random.chance(0.1)) await linger()
        count({ booked: 1 })
      })
      await step.waitFor('answer', answered, { key: id, timeout: { hours: 1 } })
      const payloads = Array.from({ length: PARTS }, () => ({}))
      await step.map('parts', part, payloads)
      await step.sleep('pause', 200)
    },
    sweep: sweepRows,
    tickSkip: leaveEffect,
    tickQueue: leaveEffect,
    tickAllow: leaveEffect,
    tickDrop: leaveEffect,
  }
}

const SWEEP_SQL = `
  with picked as (
    select "id" from "ChaosRow" where "sweptBy" is null
    order by "id" limit $2 for update skip locked
  )
  update "ChaosRow" target set "sweptBy" = $1::uuid from picked where target."id" = picked."id"`
