import { MAX_BACK_OFF_MS } from '../queue/waitingSql.ts'
import type { RetryPolicy } from '../job/defineJob.ts'
import type { End, Next } from '../queue/endRuns.ts'
import type { Taken } from '../queue/taken.ts'

/**
 * What follows a run that failed.
 *   retry      another attempt after the job's back-off, unless this was the last
 *   redeliver  another attempt at once, which costs none of the job's retries: the job is not to blame
 *   refused    another attempt once the service that has refused takes more, at no cost; after 20 such attempts as retry, no sooner
 *   stepFailed another attempt after the back-off of the step that failed, which counts its own failures
 *   lost       as redeliver, and the loss of its worker counts: after two losses the work waits ever longer, and runs alone
 *   lostAlone  as lost, for a run that was alone in its process; after too many such losses, as giveUp
 *   giveUp     nothing, since another attempt cannot help: the work is a dead letter
 *   payloadMissing  another attempt after five seconds, at no cost; after the third such attempt in a row, as giveUp
 *   drop       nothing, and no dead letter: the work is no longer needed
 */
export type AfterFailure =
  | 'retry'
  | 'redeliver'
  | 'refused'
  | 'stepFailed'
  | 'lost'
  | 'lostAlone'
  | 'giveUp'
  | 'payloadMissing'
  | 'drop'

/** The facts that decide about a failed run's work. */
export interface FailedWork extends Pick<
  Taken,
  'origin' | 'facts' | 'failures' | 'losses' | 'lossesAlone'
> {
  /** How long a service that has refused takes no more, or a step that has failed waits. Default: no time. */
  readonly retryAfterMs?: number | undefined
  /** Whether the run has committed something. */
  readonly hasProgress: boolean
}

/** This many attempts in a row that a service refuses cost nothing. */
const MAX_REFUSED = 20
/** After this many attempts in a row without a payload, the work becomes a dead letter. */
const MAX_PAYLOAD_MISSING = 3
const PAYLOAD_MISSING_DELAY_MS = 5_000
/** After this many losses, work runs alone in its process. That shows whether it kills its workers, or was only there. */
const LOSSES_BEFORE_ALONE = 2
/** Work is given up that has lost its worker so often while it ran alone. */
const MAX_LOST_ALONE = 5
/** The limit when the lost run had committed something: work that makes progress ends one day. */
const MAX_LOST_ALONE_IN_PROGRESS = 25
/** The pause before work starts again that has lost two workers; it quadruples with each further loss. */
const FIRST_BACK_OFF_MS = 1_000

/** Decides what becomes of the work of a run that failed with `code`, as the job of this worker has its retries. */
export function decideNext(
  work: FailedWork,
  retry: RetryPolicy,
  after: AfterFailure,
  code: string,
  random: () => number = Math.random,
): Pick<End, 'next' | 'costs'> {
  const { refused = 0, payloadMissing = 0 } = work.facts
  // A run by hand is not retried by the engine.
  if (work.origin !== 'queue' && after !== 'drop') return { next: { kind: giveUp(work, code) } }
  switch (after) {
    case 'retry': {
      const costs = {
        failure: true,
        ...((refused || payloadMissing) && { inARow: {} }),
      }
      if (work.failures >= retry.limit) return { next: { kind: giveUp(work, code) }, costs }
      return { next: { kind: 'again', delayMs: backOffMs(retry, work.failures, random) }, costs }
    }
    case 'refused': {
      const { retryAfterMs: delayMs = 0 } = work
      if (refused < MAX_REFUSED)
        return { next: { kind: 'again', delayMs }, costs: { inARow: { refused: refused + 1 } } }
      const costs = { failure: true }
      if (work.failures >= retry.limit) return { next: { kind: giveUp(work, code) }, costs }
      const least = backOffMs(retry, work.failures, random)
      return { next: { kind: 'again', delayMs: Math.max(delayMs, least) }, costs }
    }
    case 'stepFailed':
      return { next: { kind: 'again', delayMs: work.retryAfterMs ?? 0 } }
    case 'redeliver':
      return { next: { kind: 'again', delayMs: 0 } }
    case 'lost':
      return { next: afterLoss(work), costs: { loss: true } }
    case 'lostAlone': {
      const costs = { loss: true, lossAlone: true }
      const most = work.hasProgress ? MAX_LOST_ALONE_IN_PROGRESS : MAX_LOST_ALONE
      if (work.lossesAlone + 1 >= most) return { next: { kind: giveUp(work, code) }, costs }
      return { next: afterLoss(work), costs }
    }
    case 'giveUp':
      return { next: { kind: giveUp(work, code) } }
    case 'payloadMissing': {
      const inARow = { payloadMissing: payloadMissing + 1 }
      if (inARow.payloadMissing >= MAX_PAYLOAD_MISSING)
        return { next: { kind: giveUp(work, code) } }
      return { next: { kind: 'again', delayMs: PAYLOAD_MISSING_DELAY_MS }, costs: { inARow } }
    }
    case 'drop':
      return { next: { kind: 'over' } }
    default:
      return after satisfies never
  }
}

/**
 * Only work that a program enqueued or a person requested becomes a dead letter. Dry runs do not, nor do requested runs that
 * were cancelled or may still be approved. Work of ticks does not either: the next tick replaces it.
 */
export function giveUp(
  { origin, facts: { trigger = 'queue', dryRun } }: Pick<Taken, 'origin' | 'facts'>,
  code: string,
): 'dead' | 'over' | 'keep' {
  if (origin === 'deadLetter' || trigger === 'queue') return 'dead'
  if (code === 'guard_blocked' && trigger !== 'schedule' && !dryRun) return 'keep'
  return trigger === 'manual' && !dryRun && code !== 'cancelled' ? 'dead' : 'over'
}

/** The pause before the retry that follows `failures` others. It doubles each time; jitter adds up to as much again. */
export function backOffMs(
  { delayMs, maxDelayMs }: RetryPolicy,
  failures: number,
  random: () => number,
): number {
  const wholeSeconds = (ms: number) => Math.max(1, Math.round(ms / 1_000)) * 1_000
  const least = wholeSeconds(delayMs) * 2 ** Math.min(15, failures)
  return Math.min(wholeSeconds(maxDelayMs), least * (1 + random()))
}

/** At once after its first loss, ever later after each further one. */
function afterLoss({ losses }: FailedWork): Next {
  const beyond = losses + 1 - LOSSES_BEFORE_ALONE
  const delayMs =
    beyond < 0 ? 0 : Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 4 ** Math.min(beyond, 10))
  return { kind: 'again', delayMs }
}
