import fc from 'fast-check'
import {
  hostileText,
  hostileValue,
  makeHostile,
  ODD_NAMES,
  type HostileValue,
  type HostileValuesOptions,
} from './hostileValues.ts'

/** What a handler does from start to end, described in JSON. It neither blocks nor harms its process. */
export interface HostileOutcome {
  steps: HostileStep[]
  end: HostileEnd
}

export type HostileStep =
  | { does: 'progress'; done: HostileValue; total: HostileValue }
  | { does: 'batch'; counts: HostileValue }
  | { does: 'failingBatch'; error: HostileValue }
  /** Overwrites what it was handed. */
  | { does: 'scribble'; with: HostileValue }
  | { does: 'log'; value: HostileValue }

export type HostileEnd =
  | { does: 'return'; value: HostileValue }
  | { does: 'throw'; value: HostileValue }
  /** From a handler that is no async function, without the steps before. */
  | { does: 'returnAtOnce'; value: HostileValue }
  | { does: 'throwAtOnce'; value: HostileValue }
  | { does: 'throwError'; parts: { [part in (typeof PARTS)[number]]?: HostileValue } }
  | { does: 'throwJobError'; code: HostileValue; message: HostileValue; details: HostileValue }

const PARTS = ['message', 'code', 'stack', 'cause', 'name', 'errors'] as const

/** A logger may write every item of a list, and both halves of what is doubled: that would block for ever. */
const LOGGED = ODD_NAMES.filter((name) => !['arrayOfGreatLength', 'sparse'].includes(name)).map(
  (name): HostileValue => ({ is: 'odd', name }),
)

/** The part of a handler's context that is used here. */
export interface HostileContext {
  run: object
  payload: unknown
  log: { info(...args: never[]): void }
  batch(work: () => Promise<never>): Promise<unknown>
  progress(done: never, total: never): void
}

export type JobErrorConstructor = new (code: never, message: never, options: never) => Error

/** Plays the outcome as the handler of a run. */
export function playOutcome(
  { steps, end }: HostileOutcome,
  context: HostileContext,
  JobError: JobErrorConstructor,
): unknown {
  if (end.does === 'returnAtOnce') return makeHostile(end.value)
  if (end.does === 'throwAtOnce') throw makeHostile(end.value)
  return playInTurn(steps, end, context, JobError)
}

async function playInTurn(
  steps: readonly HostileStep[],
  end: Exclude<HostileEnd, { does: 'returnAtOnce' | 'throwAtOnce' }>,
  context: HostileContext,
  JobError: JobErrorConstructor,
): Promise<unknown> {
  for (const step of steps) await playStep(step, context)
  switch (end.does) {
    case 'return':
      return makeHostile(end.value)
    case 'throw':
      throw makeHostile(end.value)
    case 'throwError': {
      const error = new Error('foreign')
      for (const part of PARTS) {
        const value = end.parts[part]
        if (value === undefined) continue
        Object.defineProperty(error, part, { value: makeHostile(value), configurable: true })
      }
      throw error
    }
    case 'throwJobError':
      throw new JobError(
        makeHostile(end.code) as never,
        makeHostile(end.message) as never,
        { details: makeHostile(end.details) } as never,
      )
    default:
      return end satisfies never
  }
}

/** Passes over a step that is refused, like a handler that catches everything. */
async function playStep(step: HostileStep, context: HostileContext): Promise<void> {
  try {
    switch (step.does) {
      case 'progress':
        context.progress(makeHostile(step.done) as never, makeHostile(step.total) as never)
        break
      case 'batch':
        await context.batch(async () => makeHostile(step.counts) as never)
        break
      case 'failingBatch':
        await context.batch(() => Promise.reject(makeHostile(step.error)))
        break
      case 'scribble': {
        const value = makeHostile(step.with)
        for (const key of ['id', 'name', 'attempt', 'dryRun']) Reflect.set(context.run, key, value)
        for (const key of ['run', 'payload', 'signal', 'log', 'batch', 'now']) {
          Reflect.set(context, key, value)
        }
        break
      }
      case 'log':
        context.log.info({ foreign: makeHostile(step.value) } as never, 'foreign' as never)
        break
      default:
        step satisfies never
    }
  } catch {
    // Only the end of the outcome counts.
  }
}

export function hostileOutcome(options: HostileValuesOptions = {}): fc.Arbitrary<HostileOutcome> {
  const value = hostileValue(options)
  const text = fc.oneof(
    { weight: 3, arbitrary: hostileText().map((of): HostileValue => ({ is: 'json', value: of })) },
    value,
  )
  const step: fc.Arbitrary<HostileStep> = fc.oneof(
    fc.record({ does: fc.constant('progress' as const), done: value, total: value }),
    fc.record({ does: fc.constant('batch' as const), counts: value }),
    fc.record({
      does: fc.constant('batch' as const),
      counts: fc
        .dictionary(fc.constantFrom('cleaned', 'effects'), fc.nat(100))
        .map((counts): HostileValue => ({ is: 'json', value: counts })),
    }),
    fc.record({ does: fc.constant('failingBatch' as const), error: value }),
    fc.record({ does: fc.constant('scribble' as const), with: value }),
    fc.record({ does: fc.constant('log' as const), value: fc.constantFrom(...LOGGED) }),
  )
  const end: fc.Arbitrary<HostileEnd> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ does: fc.constant('return' as const), value }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constant('throw' as const), value }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('returnAtOnce' as const), value }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('throwAtOnce' as const), value }) },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constant('throwError' as const),
        parts: fc.record(
          { message: text, code: text, stack: text, cause: value, name: text, errors: value },
          { requiredKeys: [] },
        ),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        does: fc.constant('throwJobError' as const),
        code: text,
        message: text,
        details: value,
      }),
    },
  )
  return fc.record({ steps: fc.array(step, { maxLength: 3 }), end })
}
