import type { Details, RunInfo, TraceContext } from '../index.ts'
import type { TickDecision } from '../tick/decideTicks.ts'

/**
 * Is told what a worker does, for metrics, pings and traces. It is called on the way of the work, so it has to
 * return at once; what it throws is logged and changes nothing.
 */
export interface WorkerObserver {
  /** A run is recorded, and its handler is about to start. */
  runStarted?(run: ObservedRun): RunObservation | void
  /** This worker has ended the run of another one, which died. */
  runRescued?(run: RescuedRun): void
  /**
   * This worker has ended a run of an earlier attempt, since the queue has given its work out again: it went on
   * beyond every limit (code `expired`). Committed.
   */
  runExpired?(run: RescuedRun): void
  /** This worker has decided what becomes of due ticks of a job, the oldest first. Committed. */
  ticksDecided?(name: string, ticks: readonly ObservedTick[], decidedAt: Date): void
  /** Work of a job was taken from the queue with one claim. */
  workClaimed?(name: string, count: number): void
  /** Runs were ended with one transaction. */
  runsSettled?(count: number): void
}

export interface ObservedRun extends RunInfo {
  readonly queueJobId: string | null
  readonly startedAt: Date
  /** Where its work was enqueued, if that was traced. */
  readonly trace: TraceContext | null
}

/** What an observer wants of one run. */
export interface RunObservation {
  /** In every log line of the run. */
  logFields?: Readonly<Record<string, string>>
  /** Calls the handler; for an asynchronous context. It must call `work` once, and return what that returns. */
  within?<Result>(work: () => Promise<Result>): Promise<Result>
  /** Called once, after the end was committed. */
  ended?(end: RunEnding): void
}

/** What was recorded of a run's end. */
export type RunEnding =
  | { kind: 'success'; durationMs: number; details: Details | null }
  /** `code` as in details.error. */
  | { kind: 'failed'; durationMs: number; details: Details | null; code: string }
  /** Another worker had ended it before, as lost or as too late; whatever it did since was rolled back. */
  | { kind: 'lost'; durationMs: number }

/** One that another attempt's worker has ended. */
export interface RescuedRun {
  readonly id: string
  readonly name: string
  readonly attempt: number
  readonly dryRun: boolean
  readonly startedAt: Date
}

/** One row of the tick ledger. */
export type ObservedTick = Pick<TickDecision, 'scheduledFor' | 'outcome' | 'count'>
