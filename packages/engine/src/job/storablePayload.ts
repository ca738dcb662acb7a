import { askSchema, describePayloadError } from './askSchema.ts'
import type { Job } from './defineJob.ts'
import { JobError } from './jobError.ts'
import { storableUnchanged } from './storable.ts'
import { storableText } from './storableText.ts'

/** What is larger belongs into a table of its own, and its id into the payload. */
const MAX_PAYLOAD_BYTES = 8 * 2 ** 20
/** Of a list of thousands, each item may be wrong. */
const MAX_ISSUES = 100

/** `payload` is a copy. `bytes` are those of its JSON. */
export interface StorablePayload {
  payload: unknown
  bytes: number
}

/**
 * A payload as it will arrive: as JSON.stringify writes it. Neither its getters nor its schema get at it afterwards.
 * @throws JobError `payload_invalid`: its schema refuses it, JSON or PostgreSQL cannot hold it, or it is too large
 */
export function storablePayload(job: Pick<Job, 'payload'>, payload: unknown): StorablePayload {
  checkSchema(job, payload)
  const made = storableUnchanged(payload, MAX_PAYLOAD_BYTES)
  switch (made.kind) {
    case 'stored':
      return { payload: made.value, bytes: made.bytes }
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

/** A schema is foreign code, too: it may throw, be asynchronous, or be none. */
function checkSchema(job: Pick<Job, 'payload'>, payload: unknown): void {
  let error: JobError
  try {
    const parsed = askSchema(job, payload)
    if (parsed.success) return
    error = new JobError(
      'payload_invalid',
      storableText(describePayloadError(parsed.error), 2_000),
      {
        retryable: false,
        details: {
          issues: parsed.error.issues.slice(0, MAX_ISSUES).map((issue) => ({
            path: issue.path.map((key) => storableText(String(key), 100)),
            code: issue.code ?? 'custom',
            message: storableText(issue.message, 500),
            ...(issue.code === 'unrecognized_keys' && {
              keys: issue.keys.slice(0, MAX_ISSUES).map((key) => storableText(key, 100)),
            }),
          })),
        },
      },
    )
  } catch (cause) {
    const problem = 'its schema failed itself; a schema must be synchronous, and must not throw'
    error = new JobError('payload_invalid', `payload: ${problem}`, {
      retryable: false,
      cause,
      details: { issues: [{ path: [], code: 'custom', message: problem }] },
    })
  }
  throw error
}
