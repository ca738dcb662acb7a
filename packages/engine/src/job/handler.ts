import type { Logger } from './logger.ts'
import type { Job } from './defineJob.ts'
import type { EngineJobName } from './engineJobs.ts'
import type { HostClient, TransactionOf } from './hostTypes.ts'
import type { EnqueueOptions, EnqueueResult } from '../work/enqueue.ts'

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue }

/** What a run says of itself in JobRun.details: counts and facts, never payloads or secrets. */
export type Details = { [key: string]: JsonValue }

/** Numbers that add up over the batches of a run. */
export type Counts = { [key: string]: number }

export const JOB_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const
export type JobTrigger = (typeof JOB_TRIGGERS)[number]

export interface RunInfo {
  readonly id: string
  readonly name: string
  readonly trigger: JobTrigger
  /** 1 at the first delivery. */
  readonly attempt: number
  /**
   * How many retries its work has left should this run fail: at 0 it is given up then. What was lost or drained has
   * cost none, and a redrive grants them anew. Always 0 where nobody delivers it again, as in `worker:once`.
   */
  readonly retriesLeft: number
  /** The instant that the schedule named, when a schedule started the run. */
  readonly scheduledFor: Date | null
  readonly dryRun: boolean
}

export interface RunContext<Payload, Tx> {
  readonly run: RunInfo
  readonly payload: Payload
  /** Aborted by time-out, cancellation, drain, and loss of the run. Hand it to every await that takes one. */
  readonly signal: AbortSignal
  /** Carries name, runId and attempt. */
  readonly log: Logger
  now(): Date
  /**
   * Does a bounded piece of work in one transaction together with its counts: they are added to the
   * run's details, `batches` is counted, and all of it commits only while the run is still this
   * worker's. In a dry run it is rolled back at the end.
   * @throws JobError `run_lost` when another worker has taken the run over; the work is rolled back
   */
  batch<C extends Counts>(work: (tx: Tx) => Promise<C>): Promise<C>
  /**
   * To be asked before the first change, by a job that has a guard; without one it counts nothing, and it
   * records nothing of so few rows as the guard's minRows. In a dry run it never blocks, and what it counted
   * is in the details.
   * @throws JobError `guard_blocked` when more is due than the guard allows
   */
  guard(count: GuardCount<Tx>): Promise<void>
  /** Puts further work into the queue, in a transaction of this run: with its batch, or not at all. */
  enqueue<J extends Job>(
    tx: Tx,
    job: J,
    payload: PayloadOf<J>,
    options?: EnqueueOptions,
  ): Promise<EnqueueResult>
  /** How far the run is. Kept at most once a second, so it may be called as often as is convenient. */
  progress(done: number, total?: number): void
}

export interface GuardCount<Tx> {
  /**
   * How many rows there are. Asked only when the guard's maxShare matters. An estimate will do, unless `upTo` is given:
   * then so many have to be counted if there are as many, and it need not count further.
   */
  total: (tx: Tx, upTo?: number) => Promise<number>
  /** How many rows are due; it need not count further than `limit`. */
  due: (tx: Tx, limit: number) => Promise<number>
}

/** What a handler returns is the result, where its job has one; else it is merged into the run's details. */
export type Handler<Payload, Tx, Result = never> = (
  context: RunContext<Payload, Tx>,
) => Promise<[Result] extends [never] ? Details | void : Result>

/** One handler for every job of a catalogue but the engine's own: a missing one is a type error. */
export type HandlersFor<Jobs extends readonly Job[], Tx> = {
  readonly [J in Jobs[number] as Exclude<J['name'], EngineJobName>]: Handler<
    PayloadOf<J>,
    Tx,
    ResultOf<J>
  >
}

export type PayloadOf<J> = J extends Job<string, infer Payload> ? Payload : never

/** `never` of a job without one. */
export type ResultOf<J> = J extends Job<string, unknown, infer Result> ? Result : never

/** What the process of an isolated run is given to open its handlers with. */
export interface HandlersSetting {
  /** The worker's. */
  databaseUrl: string
  /** The worker's. */
  schema: string
  /** Writes into the worker's log. */
  log: Logger
}

/** What the process of an isolated run works with. */
export interface HandlersModule<Jobs extends readonly Job[], Client extends HostClient> {
  /** At least those that are isolated. Time-out and guard are the worker's own, the payload's schema is taken from here. */
  jobs: Jobs
  handlers: NoInfer<HandlersFor<Jobs, TransactionOf<Client>>>
  /** One of its own, with a small pool: there is one run at a time. */
  client: Client
  /** Called before an idle process ends, which has half a second for it; never after a run that failed. */
  close?(): Promise<void>
}

/**
 * For the export `openHandlers` of a `handlersModule`: opens what the handlers need, once in each process, at its first
 * run. It only helps the types.
 */
export function defineHandlersModule<const Jobs extends readonly Job[], Client extends HostClient>(
  open: (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>>,
): (setting: HandlersSetting) => Promise<HandlersModule<Jobs, Client>> {
  return open
}
