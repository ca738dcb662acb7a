import type { Job } from '../job/defineJob.ts'
import type { PayloadOf } from '../job/handler.ts'

export interface EnqueueOptions {
  /** Not started before it. Default: at once. */
  startAfter?: Date
  /** The higher, the sooner, among the work of one job. Default 0. */
  priority?: number
  /**
   * While work of this job with the same key waits, runs, or is to be retried, no more of it is enqueued.
   * The key frees up when that work is completed or given up. Of two transactions with the same key, the later
   * one waits for the earlier to end; at a higher isolation level than read committed it fails then as one that can't be
   * serialized (40001), and has to be tried again.
   */
  uniqueKey?: string
  /**
   * What becomes of this work where other work has its unique key. `keep` (default): the other one stays, and this one is
   * not enqueued. `replace`: what waits with the key gets this payload, priority, startAfter and expiresAt in place of
   * its own, and all attempts anew. Where the other one runs, it goes on without the key, and is not tried again; this
   * one is enqueued with the key. The end of that run is recorded once the transaction has ended.
   */
  onConflict?: 'keep' | 'replace'
  /**
   * With `replace`: work that is replaced again and again is due no later than so many milliseconds after it was first
   * enqueued, whatever startAfter says. At most ten years. Default: no limit.
   */
  maxWaitMs?: number
  /**
   * No attempt starts after it, retries included: what would have to is recorded as failed with code `expired`, is not
   * tried again, and is no dead letter. Has to be later than startAfter. Default: it never expires.
   */
  expiresAt?: Date
}

export interface EnqueueResult {
  /** Whether it was enqueued, work with its unique key was there already, or what waited with the key was replaced by it. */
  kind: 'enqueued' | 'alreadyQueued' | 'replaced'
  /** The new work's id in the queue, or that of the work that was there. Its runs carry it. */
  queueJobId: string
}

/** One piece of work out of many. */
export interface WorkItem<J extends Job = Job> {
  payload: PayloadOf<J>
  options?: EnqueueOptions
}

/**
 * Enqueues a piece of work in the given transaction: it exists if and only if that commits. Given a client
 * instead, by itself.
 * @throws TypeError of what is no client and no transaction of a library that is known
 * @throws JobError `payload_invalid`, before anything is written: also of what JSON or PostgreSQL cannot hold, or of
 *   more than 8 MB
 */
export type Enqueue<Tx> = <J extends Job>(
  tx: Tx,
  job: J,
  payload: PayloadOf<J>,
  options?: EnqueueOptions,
) => Promise<EnqueueResult>

/** Where in a trace something happens, in the words of W3C Trace Context. */
export interface TraceContext {
  traceparent: string
  tracestate?: string
}

/**
 * Surrounds the moment at which work is put into the queue, for tracing. What it hands to `put` travels with the
 * work, and each run of that is told of it. It must call `put` once, and return what that returns.
 */
export type TraceEnqueue = <Result>(
  work: { name: string; count: number },
  put: (trace: TraceContext | undefined) => Promise<Result>,
) => Promise<Result>
