import type { Job } from './defineJob.ts'
import type { PayloadOf } from './handler.ts'

export interface EnqueueOptions {
  /** The work does not start before this instant. Default: at once. */
  startAfter?: Date
  /** Higher starts sooner, among the work of one job. Default 0. */
  priority?: number
  /**
   * 1 to 255 characters. While work of this job with the same key is waiting, running or due for a retry, nothing is added. The
   * key is free once that work has succeeded or was given up. A transaction waits for an earlier one with the same key to end.
   * Above read committed it then fails with 40001 (a serialization failure): retry it.
   */
  uniqueKey?: string
  /**
   * The effect if other work has the unique key. `keep` (default): the other work stays, and nothing is added. `replace`:
   * waiting work with the key gets this payload, priority, startAfter and expiresAt, and all its attempts again. Running work
   * with the key continues without the key and is not retried; this work is added with the key.
   */
  onConflict?: 'keep' | 'replace'
  /**
   * With `replace`: the maximum delay, in milliseconds, from the first enqueueing until the work is due, even if it is replaced
   * with a later startAfter. At most ten years. Default: no limit.
   */
  maxWaitMs?: number
  /**
   * No attempt starts after this instant, retries included. If a worker takes the work later, the run fails with code
   * `expired`, without a retry and without a dead letter. Must be later than startAfter. Default: never.
   */
  expiresAt?: Date
  /**
   * The origin of the work, shown with its runs: `request 7f3a`, `hook invoiceIssued`. Cut after 200 characters. Default: none.
   * Work that a handler enqueues through its context always names the handler's run.
   */
  enqueuedBy?: string
}

export interface EnqueueResult {
  /** `alreadyQueued`: other work has the unique key. `replaced`: this took the place of work that waited with the key. */
  kind: 'enqueued' | 'alreadyQueued' | 'replaced'
  /** The id of the new or the existing work. Each of its runs has it as `workId`. */
  workId: string
}

/** One piece of work out of many. */
export interface WorkItem<J extends Job = Job> {
  payload: PayloadOf<J>
  options?: EnqueueOptions
}

/** `enqueue` of a client: see JobsClient. The transaction comes first. */
export type Enqueue<Tx> = <J extends Job>(
  tx: Tx,
  job: J,
  payload: PayloadOf<J>,
  options?: EnqueueOptions,
) => Promise<EnqueueResult>

/** A position in a trace, in the format of W3C Trace Context. */
export interface TraceContext {
  traceparent: string
  tracestate?: string
}

/**
 * Wraps the enqueueing of work, for tracing. The context that it passes to `put` is stored with the work, and the observer of
 * each of its runs gets it. It must call `put` once, and return its result.
 */
export type TraceEnqueue = <Result>(
  work: { name: string; count: number },
  put: (trace: TraceContext | undefined) => Promise<Result>,
) => Promise<Result>
