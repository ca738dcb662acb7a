import { checkFunction } from '../values/argument.ts'
import type { JOB_TRIGGERS } from '../arguments/queries.ts'
import type { Logger } from './logger.ts'
import type { Job } from './defineJob.ts'
import type { Step } from './step.ts'
import type { EngineJobName } from './engineJobs.ts'
import type { HostClient, HostTransaction, TransactionOf } from './hostTypes.ts'
import type { EnqueueOptions, EnqueueResult } from './enqueue.ts'

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue }

/** The details of a run, stored in JobRun: counts and facts, never payloads or secrets. */
export type Details = { [key: string]: JsonValue }

/** Numbers that add up over the batches of a run. */
export type Counts = { [key: string]: number }

export type JobTrigger = (typeof JOB_TRIGGERS)[number]

export interface RunInfo {
  readonly id: string
  readonly name: string
  /** The origin of the run: a tick (`schedule`), a program (`queue`), a person (`manual`), or `runOnce` (`cli`). */
  readonly trigger: JobTrigger
  /** 1 at the first delivery. */
  readonly attempt: number
  /**
   * Retries left if this run fails; at 0 the work is then given up. Lost and drained attempts cost none, and a retry of a dead
   * letter grants all of them again. Always 0 in `runOnce`, which is not retried.
   */
  readonly retriesLeft: number
  /** The tick's instant, if a schedule started the run. */
  readonly scheduledFor: Date | null
  /**
   * The keyed schedule, if a tick or a person started the run from one. Null for all other runs, also those of the job's own
   * schedule.
   */
  readonly schedule: RunSchedule | null
  readonly dryRun: boolean
}

export interface RunSchedule {
  readonly key: string
  readonly timeZone: string
  /**
   * The previous instant for which it enqueued work; in a backfill, the previous instant of the expression. Null if there is
   * none.
   */
  readonly previousAt: Date | null
}

export interface RunContext<Payload, Tx> {
  readonly run: RunInfo
  readonly payload: Payload
  /** The worker aborts it on time-out, cancellation, drain, and loss of the run. Pass it to every await that takes one. */
  readonly signal: AbortSignal
  /** Adds name, runId and attempt to each line. */
  readonly log: Logger
  now(): Date
  /**
   * Does a bounded piece of work in one transaction. The same transaction adds the returned counts, and one to `batches`, to
   * the run's details. A batch may return nothing. It commits only while this worker still holds the run. A dry run rolls all
   * batches back at its end.
   * @throws JobError `run_lost` if another worker has taken the run over; the batch is rolled back
   */
  batch<C extends Counts | void>(work: (tx: Tx) => Promise<C>): Promise<C>
  /**
   * Call it before the first change in a job with a guard, with two functions. `due(tx, limit)` counts the rows that the run
   * would change, up to `limit`. `total(tx, upTo)` counts all rows, for `maxShare`. Up to the guard's `minRows` it neither
   * blocks nor records. In a dry run it never blocks, and records the counts in the details.
   * @throws JobError `guard_blocked` if more rows are due than the guard allows
   */
  guard(count: GuardCount<Tx>): Promise<void>
  /** Enqueues further work in a transaction of this run: the work exists if, and only if, the batch commits. */
  enqueue<J extends Job>(
    tx: Tx & HostTransaction,
    job: J,
    payload: PayloadOf<J>,
    options?: EnqueueOptions,
  ): Promise<EnqueueResult>
  /** Reports the progress of the run. You can call it at any time: the worker stores it at most once a second. */
  progress(done: number, total?: number): void
}

export interface GuardCount<Tx> {
  /**
   * Returns the number of rows. Called only if the guard has a `maxShare`. Without `upTo` an estimate is enough. With `upTo` it
   * must count, but not beyond that number.
   */
  total: (tx: Tx, upTo?: number) => Promise<number>
  /** Returns the number of due rows. It may stop counting at `limit`. */
  due: (tx: Tx, limit: number) => Promise<number>
}

/** Does the work of a run. Its return value is the job's result. If the job has none, it is merged into the run's details. */
export type Handler<Payload, Tx, Result = never> = (
  context: RunContext<Payload, Tx>,
) => Promise<[Result] extends [never] ? Details | void : Result>

/** The context of a durable handler. Its code runs again from the top; steps with a memo do not. */
export interface DurableContext<Payload, Tx, Steps> extends Omit<
  RunContext<Payload, Tx>,
  'batch' | 'guard' | 'enqueue'
> {
  readonly step: Step<Tx, Steps>
  /** The end of the last step; before the first, the start of the run. */
  now(): Date
}

/** Does the work of a durable job. */
export type DurableHandler<Payload, Tx, Steps, Result = never> = (
  context: DurableContext<Payload, Tx, Steps>,
) => Promise<[Result] extends [never] ? Details | void : Result>

/**
 * Finds the handler of a job, also if a getter of the host loads it. An inherited property, such as `toString`, is not a
 * handler.
 */
export function findHandler(handlers: object, name: string): Handler<never, never> | undefined {
  const named = (of: object) => (of as Readonly<Record<string, unknown>>)[name]
  const found = named(handlers)
  return found === named(Object.prototype) ? undefined : (found as Handler<never, never>)
}

/** A handler for every job of a catalogue, except the engine's own jobs. A missing one is a type error. */
export type HandlersFor<Jobs extends readonly Job[], Tx> = {
  readonly [J in Jobs[number] as Exclude<J['name'], EngineJobName>]: [StepsOf<J>] extends [object]
    ? DurableHandler<PayloadOf<J>, Tx, StepsOf<J>, ResultOf<J>>
    : Handler<PayloadOf<J>, Tx, ResultOf<J>>
}

export type PayloadOf<J> = J extends Job<string, infer Payload> ? Payload : never

/** The type of a job's result; `never` for a job without one. */
export type ResultOf<J> = J extends Job<string, unknown, infer Result> ? Result : never

/** The results of a durable job's steps by name; null for other jobs. */
export type StepsOf<J> = J extends Job<string, unknown, unknown, infer Steps> ? Steps : never

/** The argument of `openHandlers` in the process of an isolated run. */
export interface HandlersSetting {
  /** The worker's `databaseUrl`. */
  databaseUrl: string
  /** The worker's `schema`. */
  schema: string
  /** Writes into the worker's log. */
  log: Logger
}

/** The return value of `openHandlers` in the process of isolated runs. */
export interface HandlersModule<Jobs extends readonly Job[], Client extends HostClient> {
  /** At least the isolated jobs. Their payload schemas apply; time-out and guard come from the worker's definitions. */
  jobs: Jobs
  handlers: NoInfer<HandlersFor<Jobs, TransactionOf<Client>>>
  /** A separate client for this process. A small pool is enough: one run executes at a time. */
  client: Client
  /** Called before an idle process ends; it has half a second. Not called after a failed run, which ends the process at once. */
  close?(): Promise<void>
}

/**
 * Types the export `openHandlers` of a `handlersModule`, and returns `open` unchanged. Each process calls it once, before its
 * first run.
 */
export function defineHandlersModule<const Jobs extends readonly Job[], Client extends HostClient>(
  open: (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>>,
): (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>> {
  return checkFunction('open', open)
}
