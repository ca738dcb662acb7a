import { askAboutJson } from './askAboutJson.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import type { Job } from './defineJob.ts'
import { JobError } from './jobError.ts'
import { keyOfWork } from './limits.ts'
import { storableUnchanged } from '../values/storable.ts'
import { storableText } from '../values/storableText.ts'

/** Larger data belongs in a table of the product, and its id in the payload. */
export const MAX_PAYLOAD_BYTES = 8 * 2 ** 20

/** `payload` is a copy. `bytes`: the length of its JSON. */
export interface StorablePayload {
  payload: unknown
  bytes: number
  /** The schema's output for it, as each run will get it. */
  accepted: unknown
  /** The key of the work: see `keyOfWork`. */
  key: string | undefined
}

/**
 * Checks a payload and copies it as JSON.stringify writes it. Neither its getters nor its schema can change the copy
 * afterwards.
 * @throws JobError `payload_invalid`, which names the job and the argument, if:
 * - the schema refuses it or its JSON
 * - JSON would change a Date, bytes, a Map or a Set that the schema accepted
 * - JSON or PostgreSQL cannot hold it, or its JSON exceeds 8 MiB
 * - its key cannot be stored
 */
export function storablePayload(
  job: CheckedJob,
  payload: unknown,
  argument = 'payload',
): StorablePayload {
  try {
    return checkPayload(job, payload)
  } catch (error) {
    if (!(error instanceof JobError)) throw error
    const { code, message, retryable, cause, details } = error
    const named = `${argument} of ${job.name}: ${message.replace(/^payload: /, '')}`
    throw new JobError(code, named, { retryable, cause, details })
  }
}

type CheckedJob = Pick<Job, 'name' | 'payload'> & Partial<Pick<Job, 'partition'>>

function checkPayload(job: CheckedJob, payload: unknown): StorablePayload {
  const first = checkSchema(job, payload)
  const made = storableUnchanged(payload, MAX_PAYLOAD_BYTES)
  switch (made.kind) {
    case 'stored': {
      // The schema was already asked about a payload that equals its JSON.
      const accepted = made.isPlain ? first : askAboutJson(job, payload, first, made.value)
      return {
        payload: made.value,
        bytes: made.bytes,
        accepted,
        key: keyOfWork(job, accepted),
      }
    }
    case 'tooLarge': {
      const most = `${MAX_PAYLOAD_BYTES / 2 ** 20} MB`
      throw refusal([], `is larger than ${most} as JSON; store it in a table, and pass its id`)
    }
    case 'changed':
      throw refusal(made.change.path, made.change.problem)
    default:
      return made satisfies never
  }
}

function refusal(path: readonly string[], problem: string): JobError {
  return new JobError('payload_invalid', `${path.join('.') || 'payload'}: ${problem}`, {
    retryable: false,
    details: { issues: [{ path: [...path], code: 'unstorable', message: problem }] },
  })
}

function checkSchema(job: Pick<Job, 'payload'>, payload: unknown): unknown {
  const answer = judge(job.payload, payload)
  if (answer.kind === 'accepted') return answer.value
  const { issues, failure } = answer
  throw new JobError('payload_invalid', storableText(describeIssues(issues), 2_000), {
    retryable: false,
    cause: failure?.reason,
    details: { issues },
  })
}
