// Not quick: draws whole tests.
import { openForTests } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type HandlersFor } from '../src/index.ts'
import type { MissedPolicy } from '../src/job/defineJob.ts'
import { openTestJobs, type TestRun } from '../src/testing.ts'
import type { PlainTransaction } from './fixtures/plainClient.ts'
import { usePlainClient } from './usePlainClient.ts'

const START = new Date('2031-03-04T05:06:07.000Z')
const RETRY = { limit: 3, delayMs: 7_000, maxDelayMs: 20_000 }
const EVERY_MS = 5 * 60_000
const MISSED = ['once', 'all', 'skip'] as const

/** What a piece of work does: it fails so often, and then enqueues what follows. */
interface Plan {
  id: number
  failures: number
  next: { job: keyof typeof byName; delayMs: number; plan: Plan } | null
}

const payload = z.strictObject({ plan: z.custom<Plan>() })
const left = defineJob({ name: 'left', payload, retry: RETRY })
const right = defineJob({ name: 'right', payload, retry: RETRY })
/** Its pieces come one after the other, retries and dead letters included. */
const ordered = defineJob({
  name: 'ordered',
  payload,
  retry: RETRY,
  partition: { key: () => 'all', order: 'fifo' },
})
const [once, all, skip] = MISSED.map((missed) =>
  defineJob({
    name: missed,
    schedule: { cron: '*/5 * * * *', missed, overlap: 'queue' },
  }),
) as [Scheduled<'once'>, Scheduled<'all'>, Scheduled<'skip'>]
type Scheduled<Name extends string> = ReturnType<typeof defineJob<Name>>
const jobs = [left, right, ordered, once, all, skip] as const
const byName = { left, right, ordered }

const handlers: HandlersFor<typeof jobs, PlainTransaction> = {
  left: carryOut,
  right: carryOut,
  ordered: carryOut,
  once: async () => undefined,
  all: async () => undefined,
  skip: async () => undefined,
}

async function carryOut(context: Parameters<(typeof handlers)['left']>[0]): Promise<void> {
  const { payload: piece, run, now, batch, enqueue } = context
  const { failures, next } = piece.plan
  if (run.attempt <= failures) throw new Error('refused')
  if (next === null) return
  await batch(async (tx) => {
    const startAfter = new Date(now().getTime() + next.delayMs)
    await enqueue(tx, byName[next.job], { plan: next.plan }, { startAfter })
    return {}
  })
}

type Step =
  | { kind: 'enqueue'; job: keyof typeof byName; delayMs: number; priority: number; plan: Plan }
  | { kind: 'advance'; ms: number }
  | { kind: 'drain' }

/** Few different values, so that retries, delays and ticks often fall on the same instant. */
const delayMs = fc.constantFrom(0, 0, 1, 7_000, 14_000, 20_000, EVERY_MS)
const jobName = fc.constantFrom<keyof typeof byName>('left', 'right', 'ordered')
const plan = fc.letrec<{ plan: Plan }>((tie) => ({
  plan: fc.record({
    id: fc.integer({ min: 0, max: 999 }),
    failures: fc.integer({ min: 0, max: RETRY.limit + 1 }),
    next: fc.option(fc.record({ job: jobName, delayMs, plan: tie('plan') }), {
      maxDepth: 3,
      depthSize: 'small',
    }),
  }),
})).plan
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('enqueue' as const),
    job: jobName,
    delayMs,
    priority: fc.integer({ min: -1, max: 1 }),
    plan,
  }),
  fc.record({
    kind: fc.constant('advance' as const),
    ms: fc.oneof(delayMs, fc.integer({ min: 0, max: 3 * EVERY_MS }), fc.constant(4 * EVERY_MS + 1)),
  }),
  fc.constant({ kind: 'drain' as const }),
)

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({ databaseUrl: database.url, client, jobs, handlers, now: START }),
)

describe('a test drains', () => {
  it('in the order of a plain model, whatever is enqueued, fails, follows and comes round', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await test.reset()
        const model = createModel()
        const told: string[] = []
        const foretold: string[] = []
        for (const each of [
          ...steps,
          { kind: 'advance', ms: EVERY_MS },
          { kind: 'drain' },
        ] as Step[]) {
          switch (each.kind) {
            case 'enqueue': {
              const startAfter = new Date(test.now().getTime() + each.delayMs)
              // The order of a key is that of the enqueues.
              const priority = each.job === 'ordered' ? 0 : each.priority
              const options = { startAfter, ...(each.job !== 'ordered' && { priority }) }
              await test.enqueueNow(byName[each.job], { plan: each.plan }, options)
              model.enqueue(each.job, each.delayMs, priority, each.plan)
              break
            }
            case 'advance':
              await test.advance(each.ms)
              model.advance(each.ms)
              break
            case 'drain': {
              for (const run of await test.drain()) told.push(describeRun(run))
              foretold.push(...model.drain())
              break
            }
            default:
              each satisfies never
          }
        }
        expect(told).toEqual(foretold)
      }),
      { numRuns: 20 },
    )
  })
})

function describeRun({
  name,
  payload: of,
  scheduledFor,
  attempt,
  status,
  startedAt,
}: TestRun): string {
  const what = (of as { plan?: Plan }).plan?.id ?? scheduledFor?.toISOString()
  return `${name} ${what} ${attempt} ${status} ${startedAt.toISOString()}`
}

interface Piece {
  job: string
  dueAt: number
  priority: number
  /** The order in which pieces were enqueued. */
  nth: number
  /** Null: it has not been due yet. */
  place: number | null
  attempt: number
  plan: Plan | null
  scheduledFor: number | null
}

/** The same behaviour without a database: an array and a time. */
function createModel() {
  let now = START.getTime()
  let cursor = now
  let enqueued = 0
  let places = 0
  let waiting: Piece[] = []
  // The first dead letter of the job that keeps to its order.
  let stuckAt = Infinity

  function put(piece: Omit<Piece, 'nth' | 'place' | 'attempt'>): void {
    const place = piece.dueAt <= now ? places++ : null
    waiting.push({ ...piece, nth: enqueued++, place, attempt: 1 })
  }

  /** What has become due comes behind all that was. */
  function placeDue(): void {
    const order = jobs.map(({ name }) => name as string)
    waiting
      .filter(({ dueAt, place }) => place === null && dueAt <= now)
      .toSorted(
        (a, b) => order.indexOf(a.job) - order.indexOf(b.job) || a.dueAt - b.dueAt || a.nth - b.nth,
      )
      .forEach((piece) => (piece.place = places++))
  }

  function enqueue(job: string, delay: number, priority: number, of: Plan): void {
    put({ job, dueAt: now + delay, priority, plan: of, scheduledFor: null })
  }

  function advance(ms: number): void {
    now += ms
    const due: number[] = []
    for (let at = Math.floor(cursor / EVERY_MS + 1) * EVERY_MS; at <= now; at += EVERY_MS)
      due.push(at)
    cursor = due.at(-1) ?? cursor
    for (const missed of MISSED) {
      for (const at of due.filter((tick) => isMadeUpFor(missed, tick, due))) {
        put({ job: missed, dueAt: now, priority: 0, plan: null, scheduledFor: at })
      }
    }
  }

  function isMadeUpFor(missed: MissedPolicy, at: number, due: readonly number[]): boolean {
    if (missed === 'all') return true
    return at === due.at(-1) && (missed === 'once' || now - at <= 10_000)
  }

  function drain(): string[] {
    const told: string[] = []
    for (;;) {
      placeDue()
      const head = Math.min(...waiting.flatMap(({ job, nth }) => (job === 'ordered' ? [nth] : [])))
      const isHeldUp =
        stuckAt < head || waiting.some(({ nth, place }) => nth === head && place === null)
      const due = waiting.filter(
        (piece): piece is Piece & { place: number } =>
          piece.place !== null && !(piece.job === 'ordered' && isHeldUp),
      )
      const first = due.toSorted((a, b) => a.dueAt - b.dueAt || a.place - b.place)[0]
      if (first === undefined) return told
      const [piece] = due
        .filter(({ job, nth }) => job === first.job && (job !== 'ordered' || nth === head))
        .toSorted((a, b) => b.priority - a.priority || a.place - b.place)
      if (piece === undefined) throw new Error('The first of its job is among its work')
      waiting = waiting.filter((other) => other !== piece)
      const { job, attempt, plan: of, scheduledFor } = piece
      const isFailing = of !== null && attempt <= of.failures
      const what = of?.id ?? new Date(scheduledFor ?? 0).toISOString()
      const status = isFailing ? 'failed' : 'success'
      told.push(`${job} ${what} ${attempt} ${status} ${new Date(now).toISOString()}`)
      if (isFailing && attempt <= RETRY.limit) {
        const pause = Math.min(RETRY.maxDelayMs, RETRY.delayMs * 2 ** (attempt - 1))
        waiting.push({ ...piece, attempt: attempt + 1, place: null, dueAt: now + pause })
      }
      if (isFailing && attempt > RETRY.limit && job === 'ordered')
        stuckAt = Math.min(stuckAt, piece.nth)
      const next = isFailing ? null : (of?.next ?? null)
      if (next) enqueue(next.job, next.delayMs, 0, next.plan)
    }
  }

  return { enqueue, advance, drain }
}
