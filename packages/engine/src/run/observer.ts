import type { Details, RunInfo } from '../job/handler.ts'
import type { TraceContext } from '../job/enqueue.ts'
import type { TickDecision } from '../tick/decideTicks.ts'

/**
 * Observes a worker, for metrics, pings and traces. The worker waits while it calls an observer, so return at once.
 * The worker logs what an observer throws, and goes on.
 */
export interface WorkerObserver {
  /** A run begins: its handler is about to start. */
  runStarted?(run: ObservedRun): RunObservation | void
  /** This worker has ended a run of a worker that died. */
  runRescued?(run: RescuedRun): void
  /** This worker has ended a run that went on beyond every limit (code `expired`). Called after the commit. */
  runExpired?(run: RescuedRun): void
  /** This worker has decided due ticks of a job; the oldest comes first. Called after the commit. */
  ticksDecided?(name: string, ticks: readonly ObservedTick[], decidedAt: Date): void
  /** A claim of this worker took work of a job. */
  workClaimed?(name: string, count: number): void
  /** This worker has settled `count` runs as one group. */
  runsSettled?(count: number): void
}

export interface ObservedRun extends Omit<RunInfo, 'schedule'> {
  readonly workId: string | null
  readonly startedAt: Date
  /** The trace context in which its work was enqueued; null when nothing traced that. */
  readonly trace: TraceContext | null
}

export interface ObservedStep {
  readonly name: string
  /** Empty where the step has none. */
  readonly item: string
}

/** The observer's part for one run. */
export interface RunObservation {
  /** Fields that the worker adds to every log line of the run. */
  logFields?: Readonly<Record<string, string>>
  /** Wraps the handler, for an asynchronous context. It must call `work` once, and return what that returns. */
  within?<Result>(work: () => Promise<Result>): Promise<Result>
  /** The same around the function of each step that is called. What that throws is the step's error. */
  withinStep?<Result>(step: ObservedStep, work: () => Promise<Result>): Promise<Result>
  /** Called once, after the end was committed. */
  ended?(end: RunEnding): void
}

/**
 * The end of a run as the worker recorded it. `code` is that of details.error. `lost`: another worker had ended it
 * before, as lost or expired; its batches since then were rolled back. `suspended`: its work waits in a step, and goes on in another
 * run; it is neither a success nor a failure.
 */
export type RunEnding =
  | { kind: 'success'; durationMs: number; details: Details | null }
  | { kind: 'failed'; durationMs: number; details: Details | null; code: string }
  | { kind: 'lost'; durationMs: number }
  | { kind: 'suspended'; durationMs: number }

/** A run that another worker carried out and this one has ended. */
export interface RescuedRun {
  readonly id: string
  readonly name: string
  readonly attempt: number
  readonly dryRun: boolean
  readonly startedAt: Date
}

/** A row of the tick ledger. */
export type ObservedTick = Pick<TickDecision, 'scheduledFor' | 'outcome' | 'count'>
