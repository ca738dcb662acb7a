import { COUNT_QUEUE_SQL, measureQueueSql } from '../store/queueSql.ts'
import type { Reader } from './reader.ts'

/** Instants are ISO 8601 in UTC. */
export interface QueueCounts {
  name: string
  /** Not taken yet. */
  waiting: number
  /** Of those: not to be taken yet, because it is delayed or to be retried later. */
  delayed: number
  active: number
  deadLetters: number
  /** Since when the one that waits longest could be taken. */
  oldestWaitingAt: string | null
  /** When the first of the dead letters was given up. */
  oldestDeadLetterAt: string | null
}

/** How each job stands. What is completed is not read. */
export async function countQueue(reader: Reader, names: readonly string[]): Promise<QueueCounts[]> {
  return await reader.rows<QueueCounts>({ text: COUNT_QUEUE_SQL, values: [names] })
}

export type QueueState = (typeof QUEUE_STATES)[number]
export const QUEUE_STATES = ['ready', 'delayed', 'active', 'deadLetter'] as const

/** How much work of a job is in a state. */
export interface QueueMeasure {
  name: string
  state: QueueState
  /** Exact up to MAX_MEASURED, which also stands for more. */
  count: number
  /**
   * How long the oldest has been in that state, in seconds: since it could have been taken, was taken, or was
   * given up. Null when there is none, and for what is delayed.
   */
  oldestSeconds: number | null
}

/** No more than so much is counted, so that a backlog of millions costs no more. */
export const MAX_MEASURED = 100_000

const MEASURE_SQL = measureQueueSql(MAX_MEASURED)

/** For metrics: a row for each job and state, also where there is nothing. One statement, on indexes. */
export async function measureQueue(
  reader: Reader,
  names: readonly string[],
): Promise<QueueMeasure[]> {
  return await reader.rows<QueueMeasure>({ text: MEASURE_SQL, values: [names] })
}
