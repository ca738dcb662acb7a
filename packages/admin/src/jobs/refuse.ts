import {
  findLastAction,
  findLastActionOfJob,
  MAX_SHOWN_PAYLOAD_BYTES,
  type JobActionKind,
  type EarlierAction,
} from '@roundsman/engine/internal'
import type { JobsReader, ShownPayload } from '@roundsman/engine/client'
import { Problem } from '../http/problem.ts'

interface Refusal {
  status: 404 | 409
  detail: string
  /** The earlier actions of other people that may be the reason. */
  after?: readonly JobActionKind[]
}

/** The answers to refused requests, by outcome. */
const OF_RUN = {
  notFound: { status: 404, detail: 'There is no run with this id' },
  notRunning: {
    status: 409,
    detail: 'This run has ended already, so there is nothing to cancel',
    after: ['cancel'],
  },
  payloadGone: {
    status: 409,
    detail:
      'The queue does not hold the payload of this run any more: request a new run and give its payload',
    after: ['redrive', 'discard', 'approve', 'cancelWork'],
  },
  notBlocked: {
    status: 409,
    detail: 'The guard of this run did not block it, so there is nothing to approve',
  },
  alreadyApproved: { status: 409, detail: 'This run is approved already', after: ['approve'] },
  alreadyQueued: {
    status: 409,
    detail:
      'Other work with its unique key waits or runs: approve the run when that has ended, or cancel that first',
    after: ['redrive'],
  },
  tooLate: {
    status: 409,
    detail:
      'This run ended more than a day ago, so its count of rows is out of date: request a new run',
  },
} as const satisfies Record<string, Refusal>

/** Names the person who was faster, if there was one. */
export async function refuseRun(
  reader: JobsReader,
  runId: string,
  outcome: keyof typeof OF_RUN,
): Promise<Problem> {
  const { status, detail, after = [] }: Refusal = OF_RUN[outcome]
  const earlier = after.length > 0 ? await findLastAction(reader, { runIds: [runId] }, after) : null
  return new Problem(status, { detail, extensions: tellEarlier(earlier) })
}

/** The answers if a payload is not shown. */
export function refusePayload(outcome: Exclude<ShownPayload, { kind: 'shown' }>): Problem {
  switch (outcome.kind) {
    case 'notFound':
      return new Problem(404, { detail: 'There is no such run, work or step, or not any more' })
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

/** `what`: the schedule or the queue of a job. `key`: that of a keyed schedule. */
export async function refusePause(
  reader: JobsReader,
  what: 'schedule' | 'queue',
  name: string,
  outcome: 'alreadyPaused' | 'notPaused',
  key?: string,
): Promise<Problem> {
  const [state, kinds] = {
    alreadyPaused: ['is paused already', { schedule: 'pause', queue: 'pauseQueue' }] as const,
    notPaused: ['is not paused', { schedule: 'resume', queue: 'resumeQueue' }] as const,
  }[outcome]
  const earlier = await findLastActionOfJob(reader, name, [kinds[what]], key)
  return new Problem(409, {
    detail: `The ${what} ${key === undefined ? '' : `${key} `}of ${name} ${state}`,
    extensions: tellEarlier(earlier),
  })
}

/** Actions after which a dead letter no longer exists. */
const LETTER_GONE = ['redrive', 'discard', 'approve'] as const

export async function refuseDeadLetter(reader: JobsReader, workId: string): Promise<Problem> {
  const earlier = await findLastAction(reader, { workIds: [workId] }, LETTER_GONE)
  return new Problem(404, {
    detail: 'There is no dead letter with this id, or not any more',
    extensions: tellEarlier(earlier),
  })
}

/** The field of an answer with the faster person's action, if there was one. */
export function tellEarlier(earlier: EarlierAction | null): { earlier?: EarlierAction } {
  if (earlier === null) return {}
  const { at, action, actor, reason } = earlier
  return { earlier: { at, action, actor, reason } }
}

export function refuseUnknownSchedule(key: string, name: string): Problem {
  return new Problem(404, { detail: `There is no schedule ${key} of ${name}` })
}

/** No worker takes work of a job that has left the catalogue. */
export function refuseUnknownJob(name: string): Problem {
  return new Problem(409, {
    detail: `No worker would take it: there is no job ${name}, or not any more`,
  })
}
