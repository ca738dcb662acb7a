import type { ShownPayload } from '@roundsman/engine/client'
import { MAX_SHOWN_PAYLOAD_BYTES } from '@roundsman/engine/internal'
import { Problem } from '../http/problem.ts'

type Refusals = Readonly<Record<string, readonly [status: 404 | 409, detail: string]>>

/** The answers to what somebody asked for and was not done, by what became of it. */
const OF_RUN = {
  notFound: [404, 'There is no run with this id'],
  notRunning: [409, 'This run has ended already, so there is nothing to cancel'],
  payloadGone: [
    409,
    'The queue does not hold the payload of this run any more: request a new run and give its payload',
  ],
  notBlocked: [409, 'The guard of this run did not block it, so there is nothing to approve'],
  alreadyApproved: [409, 'This run is approved already'],
  alreadyQueued: [
    409,
    'Other work with its unique key waits or runs: approve the run when that has ended, or cancel that first',
  ],
  tooLate: [
    409,
    'This run ended more than a day ago, so its count of rows is out of date: request a new run',
  ],
} as const satisfies Refusals

export function refuseRun(outcome: keyof typeof OF_RUN): Problem {
  const [status, detail] = OF_RUN[outcome]
  return new Problem(status, { detail })
}

/** No payload is shown. */
export function refusePayload(outcome: Exclude<ShownPayload, { kind: 'shown' }>): Problem {
  switch (outcome.kind) {
    case 'notFound':
      return new Problem(404, { detail: 'There is no such run or work, or not any more' })
    case 'payloadGone':
      return new Problem(409, {
        detail: 'The queue does not hold this payload any more: it goes with the end of its work',
      })
    case 'tooLarge':
      return new Problem(409, {
        detail: `The payload has ${outcome.bytes.toLocaleString('en')} bytes; more than ${MAX_SHOWN_PAYLOAD_BYTES.toLocaleString('en')} are not shown`,
      })
    default:
      return outcome satisfies never
  }
}

/** `what`: the schedule or the queue of a job. */
export function refusePause(
  what: 'schedule' | 'queue',
  name: string,
  outcome: 'alreadyPaused' | 'notPaused',
): Problem {
  const state = outcome === 'alreadyPaused' ? 'is paused already' : 'is not paused'
  return new Problem(409, { detail: `The ${what} of ${name} ${state}` })
}

/** Nobody takes work of a job that left the catalogue. */
export function refuseUnknownJob(name: string): Problem {
  return new Problem(409, {
    detail: `No worker would take it: there is no job ${name}, or not any more`,
  })
}
