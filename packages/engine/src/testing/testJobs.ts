/// <reference lib="esnext.disposable" preserve="true" />
import type { JobsClient } from '../createJobsClient.ts'
import type { Details, Job, JobTrigger, JsonValue, PayloadOf } from '../index.ts'

/** Milliseconds, parts of a duration that are added up, or the instant that it is then. */
export type Advance = number | TestDuration | Date

/** As Temporal and date-fns have it; what they count by the calendar (months, years) is an instant's to say. */
export interface TestDuration {
  readonly weeks?: number
  readonly days?: number
  readonly hours?: number
  readonly minutes?: number
  readonly seconds?: number
  readonly milliseconds?: number
}

/** A run that has ended, as JobRun has it on record. */
export interface TestRun {
  id: string
  name: string
  status: 'success' | 'failed'
  trigger: JobTrigger
  attempt: number
  /** The instant that the schedule named, when a schedule started the run. */
  scheduledFor: Date | null
  payload: unknown
  /** What the handler has returned, with the counts of its batches. */
  details: Details | null
  /** What it has come to, as JSON has it; null of a job that has no result. */
  result: JsonValue
  /** Null when it succeeded. */
  error: { code: string; message: string } | null
  startedAt: Date
  endedAt: Date
}

/** Work that waits: it is due from `startAfter` on. */
export interface WaitingWork<Payload = unknown> {
  queueJobId: string
  payload: Payload
  startAfter: Date
  priority: number
  uniqueKey: string | null
  trigger: JobTrigger
  dryRun: boolean
  /** Which it will be: 1 for what has not been tried. */
  attempt: number
}

export interface TestRunOptions {
  /** Everything is rolled back at the end, as `pnpm worker:once --dry-run` does. Default false. */
  dryRun?: boolean
  /** Who asks for it. */
  actor?: string
}

export interface DrainOptions {
  /** Runs at most: more of them are taken for a chain without an end. Default 1,000. */
  maxRuns?: number
}

export interface ExpectedWork {
  /** So many, exactly. 0 says that there is none. Default: at least one. */
  count?: number
  /** When it is due. */
  startAfter?: Date
  priority?: number
  uniqueKey?: string
}

/**
 * The engine in a test: the same parts as in a worker, one run after another, and a clock that stands still until it is
 * advanced. Nothing sleeps. It is a JobsClient too, for the product's code under test; `start` and `stop` do nothing.
 */
export interface TestJobs<Jobs extends readonly Job[]> extends JobsClient, AsyncDisposable {
  /** Where its tables are. */
  readonly schema: string
  /** What the clock says. Bound: it can be passed on as it is. */
  now(): Date
  /**
   * Runs a job's handler here and now, without the queue, and records that. It is not tried again.
   * @throws whatever the handler throws, or JobError for what ended the run otherwise: `payload_invalid`, `timeout`
   */
  run<J extends Jobs[number]>(
    job: J,
    payload: PayloadOf<J>,
    options?: TestRunOptions,
  ): Promise<TestRun>
  /**
   * Runs what is due until nothing is, with what handlers enqueue meanwhile: the job whose work became due first goes
   * first, and of its work what a worker would take. Runs that fail don't throw; their work is due again when the clock
   * has been advanced by as much as their job's policy says.
   * @throws Error after `maxRuns`
   */
  drain(options?: DrainOptions): Promise<TestRun[]>
  /**
   * Moves the clock. Ticks of schedules in between were seen by nobody, as if no worker had run: what becomes of them
   * is decided by each job's `missed`, and put into the queue.
   * @throws RangeError when it would go back
   */
  advance(by: Advance): Promise<void>
  /** Work of a job that waits, what is due first at first; also what is due later. At most 1,000 pieces. */
  enqueued<J extends Jobs[number]>(job: J): Promise<WaitingWork<PayloadOf<J>>[]>
  /**
   * Asserts that work of a job waits whose payload has these properties, and returns it.
   * @throws AssertionError which shows what does
   */
  assertEnqueued<J extends Jobs[number]>(
    job: J,
    payload?: Partial<PayloadOf<J>>,
    expected?: ExpectedWork,
  ): Promise<WaitingWork<PayloadOf<J>>[]>
  /** Empties the queue and forgets all runs, for the next test. The clock goes back to where it was at first. */
  reset(): Promise<void>
  /** Drops the schema and closes the connections. Can be called again. */
  close(): Promise<void>
}
