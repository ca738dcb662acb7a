import { checkTexts } from '../job/argument.ts'
import { countQueueSql, measureQueueSql } from '../store/queueSql.ts'
import { withOtherJobs } from './readQueues.ts'
import type { Reader } from './reader.ts'

/** Instants are ISO 8601 in UTC. */
export interface QueueCounts {
  name: string
  /** Work that no worker has taken, or that is to be retried. What is due is counted up to MAX_MEASURED, and so is the rest. */
  waiting: number
  /** The part of `waiting` that is not due yet: delayed, or to be retried later. */
  delayed: number
  active: number
  deadLetters: number
  /** Since when the longest waiting piece has been due. */
  oldestWaitingAt: string | null
  /** When the queue gave the oldest dead letter up. */
  oldestDeadLetterAt: string | null
}

/** Counting stops here, so that a backlog of millions costs no more. */
export const MAX_MEASURED = 100_000

const COUNT_SQL = countQueueSql(MAX_MEASURED)

/** Counts the work of each job. It does not read completed work. */
export async function countQueue(reader: Reader, names: readonly string[]): Promise<QueueCounts[]> {
  return await reader.rows<QueueCounts>({
    text: COUNT_SQL,
    values: [checkTexts('names', names)],
  })
}

export type QueueState = (typeof QUEUE_STATES)[number]
export const QUEUE_STATES = ['ready', 'delayed', 'active', 'deadLetter'] as const

/** How much work of a job is in a state. */
export interface QueueMeasure {
  name: string
  state: QueueState
  /** Exact up to MAX_MEASURED, which also stands for more; dead letters as long as all jobs together have no more. */
  count: number
  /**
   * How many seconds the oldest has been in that state: since it was due, taken, or given up. Null when there is none, and
   * for delayed work.
   */
  oldestSeconds: number | null
}

const MEASURE_SQL = measureQueueSql(MAX_MEASURED)

/**
 * Measures the queue for metrics: a row for each job and state, even with a count of 0, and for each other job of which the
 * queue holds anything. Two bounded statements, on indexes.
 */
export async function measureQueue(
  reader: Reader,
  names: readonly string[],
): Promise<QueueMeasure[]> {
  return await reader.rows<QueueMeasure>({
    text: MEASURE_SQL,
    values: [await withOtherJobs(reader, names)],
  })
}
