import type { Job } from './defineJob.ts'
import type { PayloadOf } from './handler.ts'

export interface EnqueueOptions {
  /** The work does not start before this instant. Default: at once. */
  startAfter?: Date
  /** Among the work of one job, higher starts sooner. Default 0. */
  priority?: number
  /**
   * 1 to 255 characters. While work of this job with the same key waits, runs, or is to be retried, no more of it is
   * enqueued. The key frees up when that work is completed or given up. A transaction waits for an earlier one with the
   * same key to end; above read committed it then fails with 40001 (a serialization failure): try it again.
   */
  uniqueKey?: string
  /**
   * What happens when other work has the unique key. `keep` (default): the other work stays, and this is not enqueued.
   * `replace`: work that waits with the key gets this payload, priority, startAfter and expiresAt in place of its own,
   * and all its attempts anew. Work that runs with the key goes on without it and is not retried, and this work is
   * enqueued with the key.
   */
  onConflict?: 'keep' | 'replace'
  /**
   * With `replace`: however often the work is replaced, it is due at most so many milliseconds after it was first
   * enqueued, whatever startAfter says. At most ten years. Default: no limit.
   */
  maxWaitMs?: number
  /**
   * No attempt starts after this instant, retries included. A worker that takes the work later records a failed run with
   * code `expired`, without a retry and without a dead letter. Must be later than startAfter. Default: never.
   */
  expiresAt?: Date
  /**
   * What enqueues it, for people who look at its runs: `request 7f3a`, `hook invoiceIssued`. At most 200 characters; the rest is
   * cut off. Default: none. What a handler enqueues by its context names the handler's run in any case.
   */
  enqueuedBy?: string
}

export interface EnqueueResult {
  /** `alreadyQueued`: other work has the unique key. `replaced`: this took the place of work that waited with the key. */
  kind: 'enqueued' | 'alreadyQueued' | 'replaced'
  /** The id of the new work, or of the work that was there; each of its runs carries it. */
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

/** A position in a trace, as W3C Trace Context has it. */
export interface TraceContext {
  traceparent: string
  tracestate?: string
}

/**
 * Wraps the enqueueing of work, for tracing. The context that it passes to `put` travels with the work, and the observer
 * of each of its runs gets it. It must call `put` once, and return what that returns.
 */
export type TraceEnqueue = <Result>(
  work: { name: string; count: number },
  put: (trace: TraceContext | undefined) => Promise<Result>,
) => Promise<Result>
