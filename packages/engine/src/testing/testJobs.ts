/// <reference lib="esnext.disposable" preserve="true" />
import type { JobsClient } from '../client/createJobsClient.ts'
import type { Details, JobTrigger, JsonValue, PayloadOf } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import type { Duration } from '../job/step.ts'

/** Milliseconds, a duration whose parts are added up, or the instant to advance to. */
export type Advance = number | TestDuration | Date

/** Named as in Temporal and date-fns. Months and years depend on the calendar: pass the instant instead. */
export type TestDuration = Duration

/** A run that has ended, as JobRun records it. */
export interface TestRun {
  id: string
  name: string
  /** `suspended`: the work waits in a step. */
  status: 'success' | 'failed' | 'suspended'
  trigger: JobTrigger
  attempt: number
  /** The instant that the schedule named, when a schedule started the run. */
  scheduledFor: Date | null
  payload: unknown
  /** The handler's return value, with the counts of its batches. */
  details: Details | null
  /** The run's result as JSON, or null when the job has none. */
  result: JsonValue
  /** Null when it succeeded. */
  error: { code: string; message: string } | null
  startedAt: Date
  endedAt: Date
}

/** Work that waits. It is due from `startAfter` on. */
export interface EnqueuedWork<Payload = unknown> {
  workId: string
  payload: Payload
  startAfter: Date
  priority: number
  uniqueKey: string | null
  trigger: JobTrigger
  dryRun: boolean
  /** The number of its next attempt: 1 when it has not been tried. */
  attempt: number
}

export interface TestRunOptions {
  /** Rolls all batches back at the end, as `roundsman once --dry-run` does. Only of a job that declares `dryRun`. Default false. */
  dryRun?: boolean
  /** The person who asks for the run, as recorded in it. Default: none. */
  actor?: string
}

export interface DrainOptions {
  /** Maximum of runs that drain() starts, since handlers may enqueue each other without end. Default 1,000. */
  maxRuns?: number
}

export interface ExpectedWork {
  /** How many pieces must wait, exactly; 0 asserts that there are none. Default: at least one. */
  count?: number
  /** When it must be due. */
  startAfter?: Date
  priority?: number
  uniqueKey?: string
}

/**
 * The engine in a test: the worker's own parts, one run after another, by a clock that stands still until it is advanced.
 * It never sleeps. It is also a JobsClient for the code under test; its `start` and `stop` do nothing.
 */
export interface TestJobs<Jobs extends readonly Job[]> extends JobsClient, AsyncDisposable {
  /** The name of its schema. */
  readonly schema: string
  /** The clock's time. It needs no `this`, so that it can be passed on. */
  now(): Date
  /**
   * Runs a job's handler at once, without the queue, and records the run. A failed run is not retried.
   * @throws JobError such as `payload_invalid` or `timeout`; and what the handler throws, as it is
   */
  run<J extends Jobs[number]>(
    job: J,
    payload: PayloadOf<J>,
    options?: TestRunOptions,
  ): Promise<TestRun>
  /**
   * Runs what is due until nothing is, including what handlers enqueue: first the job whose work became due first, and
   * of its work what a worker would take. A run that fails does not throw: its work is due again once the clock has
   * been advanced by the delay of its job's `retry`.
   * @throws Error after `maxRuns`
   */
  drain(options?: DrainOptions): Promise<TestRun[]>
  /**
   * Moves the clock. Ticks in between count as if no worker had run: each job's `missed` policy decides what becomes of
   * them, and what it enqueues waits in the queue.
   * @throws RangeError when the clock would go back
   */
  advance(by: Advance): Promise<void>
  /**
   * Returns work of a job that waits, including what is due later, in the order in which it is due. At most 10,000 pieces.
   */
  enqueued<J extends Jobs[number]>(job: J): Promise<EnqueuedWork<PayloadOf<J>>[]>
  /**
   * Asserts that work of a job waits whose payload has these properties, and returns it.
   * @throws AssertionError which lists the work that waits
   */
  assertEnqueued<J extends Jobs[number]>(
    job: J,
    payload?: Partial<PayloadOf<J>>,
    expected?: ExpectedWork,
  ): Promise<EnqueuedWork<PayloadOf<J>>[]>
  /** Deletes all work, runs and ticks, for the next test. The clock goes back to where it stood at first. */
  reset(): Promise<void>
  /** Drops the schema and closes the connections. Further calls do nothing. */
  close(): Promise<void>
}
