import { EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import type { PrismaClient } from '@roundsman/db'
import type { EnqueueOptions, Job, RunContext, TransactionOf } from '@roundsman/engine'
import { hostileOutcome, playOutcome } from '@roundsman/testing/hostileOutcomes'
import { hostileText, makeHostile, ODD_NAMES } from '@roundsman/testing/hostileValues'
import { JobError } from '@roundsman/engine'
import type { DeadlyKind } from './deadlyOutcomes.ts'
import { foreignErrors, foreignValues, SMALL, type Make } from './foreignValues.ts'

type Tx = TransactionOf<PrismaClient>

/** A logger may write every item of a list: an outcome that blocks for that long is among the deadly ones. */
const LOGGED = ODD_NAMES.filter((name) => !['arrayOfGreatLength', 'sparse'].includes(name))

/** What an outcome has to work with. */
export interface Scene {
  context: RunContext<unknown, Tx>
  /** A job to enqueue for. */
  sink: Job
  /** Does something that blocks the event loop, and reports how long. */
  block<Result>(work: () => Result): Result
}

/** One way in which a handler may end. */
export interface Outcome {
  kind: OutcomeKind
  /** Whether its run has to succeed, has to fail, or may do either. */
  ends: 'success' | 'failed' | 'either'
  /** Whether it takes its place for longer than others do. */
  isSlow: boolean
  perform(scene: Scene): unknown
}

export type OutcomeKind = (typeof KINDS)[number]['kind'] | DeadlyKind

const KINDS = [
  { kind: 'plays', weight: 460, draw: drawPlay },
  { kind: 'throws', weight: 200, draw: drawThrow },
  { kind: 'batches', weight: 80, draw: drawBatch },
  { kind: 'changes its context', weight: 60, draw: drawMutation },
  { kind: 'enqueues', weight: 60, draw: drawEnqueue },
  { kind: 'logs', weight: 40, draw: drawLog },
  { kind: 'strays', weight: 60, draw: drawStray },
  { kind: 'blocks', weight: 2, draw: drawBlock },
  { kind: 'is large', weight: 4, draw: drawLarge },
  { kind: 'takes its time', weight: 6, draw: drawSlow },
] as const

/** Any kind, as often as its weight says. */
const anyOutcome: fc.Arbitrary<Outcome> = fc.oneof(
  ...KINDS.map(({ kind, weight, draw }) => ({
    weight,
    arbitrary: draw().map((drawn) => ({
      kind,
      ends: 'either' as const,
      isSlow: (kind as string) === 'takes its time',
      ...drawn,
    })),
  })),
)

/**
 * Draws the outcome that has this number under this seed. The driver enqueues the number alone: whoever draws again, in
 * whatever process, draws the same.
 */
export function drawOutcome(seed: number, number: number): Outcome {
  // fast-check's seeds are whole numbers of 32 bits. The factor keeps the numbers of one seed apart from those of the next.
  const seedOfItsOwn = (seed * 1_000_003 + number) | 0
  const [outcome] = fc.sample(anyOutcome, { seed: seedOfItsOwn, numRuns: 1 })
  if (!outcome) throw new Error('fast-check draws one when asked for one')
  return outcome
}

type Drawn = Partial<Omit<Outcome, 'kind' | 'perform'>> & Pick<Outcome, 'perform'>
type Perform = Outcome['perform']

/** Its run has to fail. */
function failing(perform: Perform): Drawn {
  return { ends: 'failed', perform }
}

/** Any steps, and any end. */
function drawPlay(): fc.Arbitrary<Drawn> {
  return hostileOutcome(SMALL).map((outcome) => ({
    ends: outcome.end.does.startsWith('throw') ? 'failed' : 'either',
    perform: ({ context }) => playOutcome(outcome, context, JobError),
  }))
}

function drawThrow(): fc.Arbitrary<Drawn> {
  return fc.tuple(foreignErrors(), fc.boolean()).map(([error, isAsync]) =>
    failing(() => {
      if (isAsync) return Promise.reject(error())
      throw error()
    }),
  )
}

function batch(give: (tx: Tx) => unknown): Perform {
  return ({ context }) => context.batch(async (tx) => (await give(tx)) as never)
}

function drawBatch(): fc.Arbitrary<Drawn> {
  const numbers = fc.oneof(fc.integer(), fc.double())
  const counts = fc.oneof(
    fc.dictionary(hostileText(), numbers, { maxKeys: 4 }).map((given) => () => given),
    foreignValues(),
  )
  const performs: fc.Arbitrary<Perform> = fc.oneof(
    counts.map(batch),
    fc
      .array(counts, { minLength: 2, maxLength: 4 })
      .map((given) => (scene: Scene) => Promise.all(given.map((one) => batch(one)(scene)))),
    foreignErrors().map((error) => ignoring(batch(throwing(error)))),
    fc.constant(
      batch(async (tx) => {
        await tx.$executeRawUnsafe('select 1 / 0').catch(() => undefined)
        return { after: 1 }
      }),
    ),
    fc.integer({ min: 1, max: 100 }).map((slept) =>
      batch(async (tx) => {
        await tx.$executeRawUnsafe(`select pg_sleep(${slept / 1_000})`)
        return { slept }
      }),
    ),
    // The run has ended by then.
    counts.map((given) => (scene: Scene) => {
      setTimeout(() => void ignoring(batch(given))(scene), 20)
    }),
    fc.constant(async ({ context }: Scene) => {
      await context.batch(async () => {
        await context.batch(() => Promise.resolve({ inner: 1 }))
        return { outer: 1 }
      })
    }),
  )
  return fc.oneof(
    { weight: 7, arbitrary: performs.map((perform) => ({ perform })) },
    { weight: 1, arbitrary: foreignErrors().map((error) => failing(batch(throwing(error)))) },
    {
      weight: 1,
      arbitrary: fc.constant(failing(batch((tx) => tx.$executeRawUnsafe('select 1 / 0')))),
    },
  )
}

/** Like a handler that catches everything. */
function ignoring(perform: Perform): (scene: Scene) => Promise<void> {
  return async (scene) => {
    try {
      await perform(scene)
    } catch {
      // Whatever it was.
    }
  }
}

function throwing(make: Make): () => never {
  return () => {
    throw make()
  }
}

function drawMutation(): fc.Arbitrary<Drawn> {
  const target = fc.constantFrom('run', 'payload', 'signal', 'log', 'batch', 'progress', 'now')
  const field = fc.constantFrom('id', 'name', 'attempt', 'dryRun', 'trigger', 'scheduledFor')
  return fc
    .tuple(target, field, foreignValues(), fc.integer({ min: 0, max: 5 }))
    .map(([key, part, value, how]) => ({
      async perform({ context }) {
        const open = context as unknown as Record<string, unknown>
        const change = [
          () => (open[key] = value()),
          () => delete open[key],
          () => Object.freeze(context),
          () => ((context.run as unknown as Record<string, unknown>)[part] = value()),
          () => Object.freeze(context.run),
          () => Reflect.setPrototypeOf(context, null),
        ][how]
        try {
          change?.()
        } catch {
          // It may be refused.
        }
        await context.batch?.(() => Promise.resolve({ changed: 1 }))
      },
    }))
}

function drawEnqueue(): fc.Arbitrary<Drawn> {
  const options = fc.oneof(
    fc.constant(() => undefined),
    fc
      .tuple(fc.constantFrom('priority', 'startAfter', 'uniqueKey'), foreignValues())
      .map(([name, value]) => () => ({ [name]: value() })),
    hostileText().map((uniqueKey) => () => ({ uniqueKey })),
    foreignValues(),
  )
  const payload = fc.oneof(
    hostileText().map((text) => () => ({ text })),
    foreignValues(),
  )
  return fc.tuple(payload, options).map(([given, how]) => ({
    perform: ({ context, sink }) =>
      context.batch(async (tx) => {
        await context.enqueue(tx, sink, given(), how() as EnqueueOptions)
        return { enqueued: 1 }
      }),
  }))
}

function drawLog(): fc.Arbitrary<Drawn> {
  const level = fc.constantFrom('info', 'warn', 'error')
  return fc.tuple(level, fc.constantFrom(...LOGGED), hostileText()).map(([name, odd, text]) => ({
    perform({ context }) {
      const value = () => makeHostile({ is: 'odd', name: odd })
      context.log[name]({ value: value() }, text)
      context.log[name](value() as object, text)
    },
  }))
}

function drawStray(): fc.Arbitrary<Drawn> {
  const later = fc.constantFrom<(work: () => void) => void>(
    (work) => void setTimeout(work, 1),
    (work) => void setImmediate(work),
    (work) => process.nextTick(work),
    (work) => queueMicrotask(work),
    (work) => void Promise.resolve().then(work),
    (work) => void Promise.resolve().then(() => setTimeout(work, 5)),
    (work) => {
      const timer = setInterval(() => {
        clearInterval(timer)
        work()
      }, 2)
    },
  )
  const waits = fc.constantFrom(0, 0, 3, 20)
  return fc.tuple(later, foreignErrors(), waits, fc.boolean()).map(([start, error, ms, emits]) => ({
    async perform() {
      start(() => {
        if (emits) new EventEmitter().emit('error', error())
        throw error()
      })
      if (ms > 0) await pause(ms)
    },
  }))
}

function drawBlock(): fc.Arbitrary<Drawn> {
  return fc.integer({ min: 0, max: 300 }).map((ms) => ({
    perform: ({ block }) =>
      block(() => {
        const until = performance.now() + ms
        while (performance.now() < until);
      }),
  }))
}

function drawLarge(): fc.Arbitrary<Drawn> {
  const between = (min: number, max: number) => fc.integer({ min, max })
  const sizes = fc.oneof(between(0, 100_000), between(0, 10_000_000))
  const blocking = (make: () => unknown): Drawn => ({ perform: ({ block }) => block(make) })
  return fc.oneof(
    sizes.map((size) => blocking(() => ({ text: 'x'.repeat(size) }))),
    sizes.map((size) => blocking(() => Array.from({ length: size / 10 }, () => '\0'))),
    between(1, 20_000).map((depth) => blocking(() => nest(depth))),
    between(1, 20_000).map((depth) =>
      failing(({ block }) => {
        throw Object.assign(new Error('deep'), { cause: block(() => nest(depth)) })
      }),
    ),
    between(1, 4_000_000_000).map((length) => ({ perform: () => ({ sparse: Array(length) }) })),
  )
}

function nest(depth: number): object {
  let value: object = {}
  for (let index = 0; index < depth; index++) value = index % 2 ? [value] : { value }
  return value
}

function drawSlow(): fc.Arbitrary<Drawn> {
  const never = new Promise<never>(() => undefined)
  const untilTold = ({ context }: Scene) => pause(60_000, undefined, { signal: context.signal })
  /** Ends only some time after it was told to. */
  const late = async (scene: Scene, ms: number) => {
    await untilTold(scene).catch(() => undefined)
    await pause(ms)
  }
  const moments = fc.integer({ min: 1, max: 400 })
  const performs: fc.Arbitrary<Perform> = fc.oneof(
    // Ends at its time-out, without noticing.
    fc.constant(() => never),
    // A promise in name only.
    // oxlint-disable-next-line unicorn/no-thenable -- what is to be tried
    fc.constant(() => ({ then: () => undefined })),
    fc.constant(untilTold),
    fc.tuple(moments, foreignErrors()).map(([ms, error]) => async (scene: Scene) => {
      await late(scene, ms)
      throw error()
    }),
    moments.map((ms) => async (scene: Scene) => {
      await late(scene, ms)
      await scene.context.batch(() => Promise.resolve({ late: 1 }))
    }),
    // A listener of the signal may throw, too.
    fc.constant(({ context }: Scene) => {
      context.signal.addEventListener('abort', () => {
        throw new Error('from a listener')
      })
      return never
    }),
  )
  return performs.map(failing)
}
