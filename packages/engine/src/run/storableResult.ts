import type { Job } from '../job/defineJob.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import { createMask } from '../values/maskText.ts'
import { storableUnchanged } from '../values/storable.ts'
import { storableText } from '../values/storableText.ts'
import { describeError, type ErrorDescription } from './describeError.ts'

/** Store larger results in a table of your own, and return their id. */
const MAX_RESULT_BYTES = 65_536

export type StorableResult =
  | { kind: 'stored'; json: string }
  | { kind: 'refused'; error: ErrorDescription }

/**
 * Turns a handler's result into JSON as JSON.stringify writes it, and asks the job's schema about what a waiting program
 * will read. The error of a refused result has the path and the reason.
 */
export function storableResult(
  { result: schema, redact }: Pick<Job, 'result' | 'redact'>,
  returned: unknown,
  { maxBytes = MAX_RESULT_BYTES, what = 'The handler' } = {},
): StorableResult {
  const refused = (code: string, why: string): StorableResult & { kind: 'refused' } => {
    const message = storableText(`${what} did its work and returned ${why}`, 2_000)
    return { kind: 'refused', error: { code, message } }
  }
  const made = storableUnchanged(returned, maxBytes)
  if (made.kind === 'tooLarge')
    return refused(
      'result_too_large',
      `a result of more than ${maxBytes / 1024} kB; store it in a table, and return its id`,
    )
  if (made.kind === 'changed') {
    const { path, problem } = made.change
    return refused('result_unstorable', `a result whose ${path.join('.') || 'value'} ${problem}`)
  }
  // JSON has no undefined, and a schema may accept null.
  const json = JSON.stringify(made.value ?? null)
  const answer = schema === null ? null : judge(schema, JSON.parse(json))
  if (answer?.kind !== 'refused') return { kind: 'stored', json }
  const mask = createMask(redact)
  const failure = answer.failure && describeError(answer.failure.reason, mask)
  const problem = failure
    ? `a result, and its schema itself failed: ${failure.message}`
    : `a result that its schema refuses: ${mask(describeIssues(answer.issues, 'result'))}`
  const { error } = refused('result_invalid', problem)
  return { kind: 'refused', error: { ...failure, ...error } }
}

/** Whether a text is a result as `storableResult` makes it. */
export function isStorableResult(json: unknown): json is string {
  if (typeof json !== 'string' || Buffer.byteLength(json) > MAX_RESULT_BYTES) return false
  try {
    return storableUnchanged(JSON.parse(json), MAX_RESULT_BYTES).kind === 'stored'
  } catch {
    return false
  }
}
