import type { Counts, JsonValue, PayloadOf, ResultOf as JobResult } from './handler.ts'
import type { EnqueueOptions, EnqueueResult } from './enqueue.ts'
import type { Job, RetryPolicy } from './defineJob.ts'
import { JobError } from './jobError.ts'
import type { Signal, WaitOptions } from './signal.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import type { StandardSchemaV1 } from '../values/standardSchema.ts'

/*
 * Durable steps. A step with a memo is not done again; the code between steps runs again whenever the handler does.
 *
 *   step    a named part of a durable handler
 *   memo    the stored end of a step: its result, or its failure. The handler gets it instead of another call
 *   pass    one run of the handler from its top: a first attempt, a retry or a resumption
 */

export interface StepOptions<Result = unknown> {
  /**
   * `once`: the step is never called again while its effect may have happened. After a kill, a time-out or an error that is no
   * JobError, `verify` decides; without it, a person does. Default: a step may be called again.
   */
  effect?: 'once'
  /** A Standard Schema of the result. It reads each stored result at the start of a run, before the handler. Default: any JSON. */
  result?: StandardSchemaV1<unknown, Result>
  /** Retries of this step. Default: those of the job. */
  retry?: Partial<RetryPolicy>
  /** The signal that it waits for, so that a person can send it from the console, and its payload is checked then. */
  signal?: Signal
  /** Its earlier names, the oldest first. Memos under these names count for it. */
  was?: readonly string[]
}

/** A step as `defineJob` returns it. */
export interface StepDefinition {
  readonly effect: 'once' | null
  readonly result: StandardSchemaV1<unknown, unknown> | null
  readonly retry: RetryPolicy | null
  readonly signal: Signal | null
  readonly was: readonly string[]
}

/** The names of the steps of a job. */
interface NamesSteps {
  readonly steps?: { readonly [name: string]: Pick<StepDefinition, 'was'> } | null | undefined
}

/** All names of a step, found by its present name or an earlier one. If the job does not have the step: this name alone. */
export function namesOfStep(job: NamesSteps | undefined, step: string): string[] {
  const steps = Object.entries(job?.steps ?? {})
  const found =
    steps.find(([name]) => name === step) ?? steps.find(([, { was }]) => was.includes(step))
  return found === undefined ? [step] : [found[0], ...found[1].was]
}

/** Describes for people why the schema of a step does not accept a result. Null if it does, or there is none. Never throws. */
export function stepResultProblem(
  job: Pick<Job, 'steps'> | undefined,
  step: string,
  result: unknown,
): string | null {
  const [name = step] = namesOfStep(job, step)
  const schema = job?.steps?.[name]?.result ?? null
  const answer = schema === null ? null : judge(schema, result)
  return answer?.kind === 'refused' ? describeIssues(answer.issues, 'result') : null
}

/** A duration whose parts are added up. A day has 24 hours. */
export interface Duration {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
}

/** A value after JSON. Undefined becomes null. */
export type Jsonify<T> = unknown extends T
  ? unknown
  : T extends { toJSON(): infer Made }
    ? Jsonify<Made>
    : T extends string | number | boolean | null
      ? T
      : T extends undefined | void
        ? null
        : T extends object
          ? { [K in keyof T as T[K] extends symbol | Function ? never : K]: JsonifyPart<T[K]> }
          : never
type JsonifyPart<T> = T extends undefined ? T : Jsonify<T>

export interface StepCall {
  /** The same at each call of this step for this work, also after a rename. Give it to services as their idempotency key. */
  readonly key: string
  /** Aborted when the run has to end. */
  readonly signal: AbortSignal
}

export interface StepTransaction extends StepCall {
  /** Adds counts to the run's details, in the transaction. */
  count(counts: Counts): void
  /** Enqueues further work in the transaction. */
  enqueue<J extends Job>(
    job: J,
    payload: PayloadOf<J>,
    options?: EnqueueOptions,
  ): Promise<EnqueueResult>
}

export interface StepItem {
  /** Tells calls of the same step apart: an id, not an index. At most 200 characters. */
  item?: string
}

/** Whether an effect that may have happened has happened. */
export type Verified<T> = { done: T } | 'absent' | 'unknown'

export interface VerifiedStep<T> extends StepItem {
  /** Finds out whether the effect has happened. For steps with `effect: 'once'`. */
  verify?: (call: StepCall) => Promise<Verified<T>> | Verified<T>
}

/** Without a schema the result is that of the function. Declaration files have `{}` for its `unknown`. */
type ResultOf<Results, Name extends keyof Results, T> = {} extends Results[Name]
  ? keyof Results[Name] extends never
    ? Jsonify<T>
    : Results[Name]
  : Results[Name]

/** The steps of a durable handler. `Results` has the results of steps with a schema, by name. */
export interface Step<Tx, Results> {
  /**
   * Calls the function unless the step has a memo, and stores its result as JSON, at most 1 MB. A failed call ends the attempt
   * until the step has used up its retries.
   * @throws StepFailed once the step has used up its retries
   */
  run<Name extends keyof Results & string, T>(
    name: Name,
    work: (call: StepCall) => Promise<T> | T,
    options?: VerifiedStep<T>,
  ): Promise<ResultOf<Results, Name, T>>
  /**
   * Calls the function in a transaction that also stores the memo: its effects happen exactly once.
   * @throws StepFailed once the step has used up its retries
   */
  tx<Name extends keyof Results & string, T>(
    name: Name,
    work: (tx: Tx, call: StepTransaction) => Promise<T>,
    options?: StepItem,
  ): Promise<ResultOf<Results, Name, T>>
  /** Suspends the work, in milliseconds or as a duration. It holds no process and no connection while it is suspended. */
  sleep(
    name: keyof Results & string,
    duration: number | Duration,
    options?: StepItem,
  ): Promise<void>
  /** Suspends the work until an instant. */
  sleepUntil(name: keyof Results & string, at: Date, options?: StepItem): Promise<void>
  /**
   * Suspends the work until the signal is sent with this key, before or after this call. A signal ends one wait, the oldest.
   * Returns the signal's payload, which is never null, or null after the time-out.
   */
  waitFor<Payload>(
    name: keyof Results & string,
    signal: Signal<Payload>,
    options: WaitOptions,
  ): Promise<Payload | null>
  /**
   * Enqueues a piece of work for each payload, at most 10,000, and suspends the work until all of them have ended. Later runs
   * use the list of the first call.
   * @throws ChildFailed for the first failure, unless `onFailure` is `collect`
   */
  map<J extends Job>(
    name: keyof Results & string,
    job: J,
    payloads: readonly PayloadOf<J>[],
    options?: MapOptions,
  ): Promise<Mapped<JobResult<J>>>
  /**
   * Does the same with one piece of work, and returns its result.
   * @throws ChildFailed
   */
  invoke<J extends Job>(
    name: keyof Results & string,
    options: StepItem,
    job: J,
    payload: PayloadOf<J>,
  ): Promise<[JobResult<J>] extends [never] ? null : JobResult<J>>
}

export interface MapOptions extends StepItem {
  /** `fail` (default): a failure is thrown once all have ended. `collect`: the results contain it. */
  onFailure?: 'fail' | 'collect'
}

/** The outcomes of the children of a step. */
export interface Mapped<Result> {
  readonly succeeded: number
  readonly failed: number
  /** Reads the outcome of each child, in the order of the payloads, page by page. */
  results(): AsyncIterable<ChildResult<Result>>
}

export type ChildResult<Result = JsonValue> =
  | { readonly status: 'success'; readonly workId: string; readonly result: Result }
  /** The child is a dead letter, or was cancelled, expired or discarded. */
  | { readonly status: 'failed'; readonly workId: string; readonly code: string }

/** A child of a step has failed permanently. Each pass throws the same error. */
export class ChildFailed extends JobError {
  readonly step: string
  readonly item: string
  /** The code of the child's error. */
  readonly childCode: string
  readonly workId: string

  constructor(step: string, item: string, first: { code: string; workId: string }) {
    super('child_failed', `Step "${step}": its work ${first.workId} failed with ${first.code}`, {
      retryable: false,
    })
    this.step = step
    this.item = item
    this.childCode = first.code
    this.workId = first.workId
  }
}

/** A step has used up its retries, or cannot be retried. Each pass throws the same error. */
export class StepFailed extends JobError {
  readonly step: string
  readonly item: string
  /** The code of the step's last error. */
  readonly stepCode: string

  constructor(step: string, item: string, error: { code: string; message: string }) {
    const which = item === '' ? `"${step}"` : `"${step}" of "${item}"`
    super('step_failed', `Step ${which} failed with ${error.code}: ${error.message}`, {
      retryable: false,
    })
    this.step = step
    this.item = item
    this.stepCode = error.code
  }
}
