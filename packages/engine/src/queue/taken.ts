import type { Job } from '../job/defineJob.ts'
import type { Facts } from './envelope.ts'

/** A claim that this worker holds, and those of its runs that are not settled yet. */
export interface HeldClaim {
  readonly id: string
  readonly open: Set<string>
}

/** The place behind which there is work of this rank that the worker has not dealt with. */
export interface Behind {
  rank: number
  place: string
}

/**
 * What a claim took: a piece of work, and the run that is an attempt at it. It is plain data, and nothing changes it.
 * performRun.ts lists what becomes of it.
 */
export interface Taken {
  /** The id of the run. */
  readonly id: string
  readonly name: string
  readonly attempt: number
  readonly startedAt: Date
  /** Null when it did not come from the queue. */
  readonly workId: string | null
  /** The claim by which the worker holds it, maybe with other runs. */
  readonly claim: HeldClaim
  readonly origin: 'queue' | 'hand' | 'deadLetter'
  readonly payload: unknown
  /** How many bytes the payload has as JSON. */
  readonly bytes: number
  /** The row of JobPayload that has the payload. Null: the work's own row had it. */
  readonly payloadId: string | null
  /** Why the payload could not be read: the handler is not called. Null: it could. */
  readonly payloadMissing: string | null
  readonly label: string | null
  /** The rest of its envelope. Little work has any. */
  readonly facts: Facts
  /** How many attempts have cost a retry, and how often its worker was lost, also while it ran alone. */
  readonly failures: number
  readonly losses: number
  readonly lossesAlone: number
  readonly uniqueKey: string | null
  /** Newer work has taken its unique key: the handler is not called. */
  readonly isReplaced: boolean
  /** The key under which it has its share. Null: the claim was not under limits. */
  readonly key: string | null
  /** Where the queue had it. Null when it did not come from there. */
  readonly from: Behind | null
  /** Whether it is the first attempt of work that was due at once, without anything beside its payload, which is short. */
  readonly isPlain: boolean
}

export const NO_FACTS: Facts = Object.freeze({})
/** As if no attempt had failed. */
export const NO_FAILURES = { failures: 0, losses: 0, lossesAlone: 0 } as const

/** How often the work is tried again if this attempt fails, by the worker's definition of the job. Runs that a person started are not retried. */
export function countRetriesLeft({ origin, failures }: Taken, { retry }: Job): number {
  return origin === 'queue' ? Math.max(0, retry.limit - failures) : 0
}
