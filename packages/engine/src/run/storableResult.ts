import type { Job } from '../index.ts'
import { askSchema, describeIssues } from '../job/askSchema.ts'
import { storableUnchanged } from '../job/storable.ts'
import { storableText } from '../job/storableText.ts'
import { describeError, type ErrorDescription } from './describeError.ts'

/** What is larger belongs into a table of its own, and its id into the result. */
const MAX_RESULT_BYTES = 65_536

export type StorableResult =
  | { kind: 'stored'; json: string }
  | { kind: 'refused'; error: ErrorDescription }

/**
 * What a handler has returned as its job's result, as the program will get it that waits: as JSON.stringify writes it,
 * which is also what the schema is asked about. Of what is refused, the error says where and why, and never quotes it.
 */
export function storableResult(
  { result: schema }: Pick<Job, 'result'>,
  returned: unknown,
): StorableResult {
  const made = storableUnchanged(returned, MAX_RESULT_BYTES)
  if (made.kind === 'tooLarge')
    return refused(
      'result_too_large',
      `a result of more than ${MAX_RESULT_BYTES / 1024} kB; store it in a table, and return its id`,
    )
  if (made.kind === 'changed') {
    const { path, problem } = made.change
    return refused('result_unstorable', `a result whose ${path.join('.') || 'value'} ${problem}`)
  }
  // JSON has nothing for it; a schema may be one of nothing.
  const json = JSON.stringify(made.value ?? null)
  try {
    const answer = schema === null ? null : askSchema(schema, JSON.parse(json))
    if (answer?.kind !== 'refused') return { kind: 'stored', json }
    return refused(
      'result_invalid',
      `a result that its schema refuses: ${describeIssues(answer.issues, 'result')}`,
    )
  } catch (reason) {
    const { message, ...more } = describeError(reason, made.value)
    const { error } = refused(
      'result_invalid',
      `a result, and its schema itself failed: ${message}`,
    )
    return { kind: 'refused', error: { ...more, ...error } }
  }
}

function refused(code: string, what: string): StorableResult & { kind: 'refused' } {
  const message = storableText(`The handler did its work and returned ${what}`, 2_000)
  return { kind: 'refused', error: { code, message } }
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
