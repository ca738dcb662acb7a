import { isDeepStrictEqual } from 'node:util'
import type { Job } from '../job/defineJob.ts'
import { JobError } from '../job/jobError.ts'
import type { JsonValue } from '../job/handler.ts'
import { checkRequest, checkShown, SHOW_REQUEST } from '../arguments/actions.ts'
import { MASKED, maskText, MAX_READ } from '../values/maskText.ts'
import { storable } from '../values/storable.ts'
import { FIND_PAYLOAD_OF_WORK_SQL, FIND_PAYLOAD_SQL } from '../queue/blockedRunSql.ts'
import { FIND_RESULT_OF_STEP_SQL } from '../queue/stepSql.ts'
import type { Connection } from '../database/database.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/** Maximum of a payload on a page. For a larger one only the size is shown. */
export const MAX_SHOWN_PAYLOAD_BYTES = 65_536

export type ShownPayload =
  /** Without credentials and e-mail addresses, except in the parts that the job shows. */
  | { kind: 'shown'; payload: JsonValue }
  | { kind: 'tooLarge'; bytes: number }
  /** `payloadGone`: the queue no longer holds it, for example because its work is done. */
  | { kind: 'payloadGone' | 'notFound' }

/** Selects the work of a run, waiting work or a dead letter. */
export type WhosePayload = { runId: string } | { workId: string }

/** Selects what a step has got: its result, the payload of a signal, or the result of a child. */
export interface WhoseResult {
  workId: string
  /** The name under which it is stored, as `steps` lists it. */
  step: string
  item?: string
}

/** Shows a payload to a person, and records the look, both or neither. A payload that is not shown is not recorded. */
export async function showPayload(
  tx: Connection,
  whose: WhosePayload | WhoseResult,
  request: Actor & { jobs: readonly Pick<Job, 'name' | 'show'>[] },
): Promise<ShownPayload> {
  const { runId, id, step, item } = checkShown(whose)
  const { jobs, by } = checkRequest(request, SHOW_REQUEST)
  const findSql =
    step !== undefined
      ? FIND_RESULT_OF_STEP_SQL
      : runId === undefined
        ? FIND_PAYLOAD_OF_WORK_SQL
        : FIND_PAYLOAD_SQL
  const { rows } = await tx.query<{ name: string; bytes: number | null; payload: string | null }>(
    `select "name", octet_length("payload") as "bytes",
            case when octet_length("payload") <= ${MAX_SHOWN_PAYLOAD_BYTES} then "payload" end as "payload"
     from (${findSql}) found`,
    step === undefined ? [id] : [id, step, item],
  )
  const [found] = rows
  if (found === undefined) return { kind: 'notFound' }
  const { name, bytes, payload } = found
  if (bytes === null) return { kind: 'payloadGone' }
  if (payload === null) return { kind: 'tooLarge', bytes }
  const target = { name, ...(runId === undefined ? { workId: id } : { runId: id }) }
  const change = step === undefined ? undefined : `result of ${step}${item && ` ${item}`}`
  await recordActions(tx, 'showPayload', [{ ...target, ...(change && { change }) }], by)
  // A job shows fields of its payload, and none of its steps.
  const shownBy = step === undefined ? jobs.find((job) => job.name === name) : undefined
  const show = shownBy?.show ?? []
  return { kind: 'shown', payload: withoutSecrets(payload, show) }
}

/**
 * Makes a payload from an edited copy of a shown one. Unchanged parts get their stored values, also if they were masked.
 * @throws JobError `payload_invalid` if a changed part contains a mask
 */
export function restoreHidden(edited: unknown, payload: unknown, show: readonly string[]): unknown {
  return restore(edited, withoutSecrets(JSON.stringify(payload), show), payload, [])
}

function restore(edited: unknown, shown: unknown, payload: unknown, path: string[]): unknown {
  if (isDeepStrictEqual(edited, shown)) return payload
  if (isPart(edited) && isPart(shown) && isPart(payload) && hasSameItems(edited, shown)) {
    const parts = Object.entries(edited).map(([name, part]) => [
      name,
      restore(part, shown[name], payload[name], [...path, name]),
    ])
    return Array.isArray(edited) ? parts.map(([, part]) => part) : Object.fromEntries(parts)
  }
  const text = JSON.stringify(edited)
  if (text === undefined || !text.includes(MASKED)) return edited
  const message = `has ${MASKED} in it: write what belongs there`
  throw new JobError('payload_invalid', `${path.join('.') || 'payload'}: ${message}`, {
    retryable: false,
    details: { issues: [{ path, message }] },
  })
}

type Part = { readonly [name: string]: unknown }
const isPart = (value: unknown): value is Part => typeof value === 'object' && value !== null
/** If the length of a list has changed, its items cannot be matched. */
const hasSameItems = (one: Part, other: Part) =>
  Array.isArray(one) === Array.isArray(other) &&
  (!Array.isArray(one) || one.length === (other as unknown as unknown[]).length)

/** A part with one of these words in its name is treated as a credential. */
const SECRET_WORDS = new RegExp(
  [
    // Names may be written as one word, such as userpassword.
    'passw(?:or[dt]|d)',
    'passphrase',
    '(?:secret|token|cookie|credential)s?\\b',
    '\\b(?:api|private|access|signing|encryption|master|session) ?keys?\\b',
    '\\bsess(?:ion)? ?ids?\\b',
    '\\b(?:pwd|passcode|otp|totp|cvv|cvc|jwt|bearer|authorization|csrf|xsrf)s?\\b',
    '\\b(?:security|verification|recovery|backup|reset|login|one time|m?fa) codes?\\b',
    '\\bcard numbers?\\b',
    // Inside a longer name these are ordinary words, as in pinColor or authMethod.
    '\\b(?:pass|pin|auth)(?: (?:code|hash|header))?$',
    '^sid$',
  ].join('|'),
)

/** Names of several words that are also written as one: matched without the spaces. */
const SECRET_NAMES = new RegExp(
  [
    'passw(?:or[dt]|d)',
    '(?:pass|seed)phrase',
    'secretkey',
    '(?:private|access|api|auth|ssh|pgp|gpg|priv|hmac|consumer|shared|account|role|license|storage)keys?$',
    '(?:db|user|root|admin|basic)(?:pass|auth)$',
    '(?:php|j|connect)?(?:sess|session)id$',
    'connectsid$',
    '(?:card|cc)num(?:ber)?$',
    'creditcard$',
    'pincode$',
    '(?:verification|sms|access)codes?$',
    'codeverifier$',
    '^creds?$',
    '^magiclink$',
  ].join('|'),
)

/** A name with one of these endings describes a credential, but contains none. */
const ABOUT_A_SECRET = / (?:count|length|limit|size|type|policy|required|enabled|consent|at)$/

function isSecret(name: string, part: JsonValue): boolean {
  if (part === null || typeof part === 'boolean') return false
  const words = wordsOf(name)
  // For language models, tokens are a count.
  const found = typeof part === 'number' ? words.replaceAll(/tokens?\b/g, '') : words
  const isFound = SECRET_WORDS.test(found) || SECRET_NAMES.test(found.replaceAll(' ', ''))
  return isFound && !ABOUT_A_SECRET.test(words)
}

/** The words of a name in lower case: `x api key` of `x-api-key`, `X_API_KEY` and `xApiKey`. */
function wordsOf(name: string): string {
  return name
    .replaceAll(/(?<=\p{Ll}|\d)(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu, ' ')
    .replaceAll(/[^\p{L}]+/gu, ' ')
    .trim()
    .toLowerCase()
}

/** Masks a payload by the rule for everything that people see. Parts that the job shows are visible to every user, and stay. */
function withoutSecrets(json: string, show: readonly string[]): JsonValue {
  // A copy of at most 64 levels, since any program may have written the row.
  const copy = storable(JSON.parse(json), 4 * MAX_SHOWN_PAYLOAD_BYTES)
  return copy.kind === 'stored' ? clean(copy.value ?? null, show) : MASKED

  function clean(value: JsonValue, shown: readonly string[]): JsonValue {
    if (typeof value === 'string') return cleanText(value)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item) => clean(item, []))
    // Lists of headers and variables have this form: { name: 'authorization', value: '…' }.
    const { name: named, key: keyed, value: said = null } = value
    const hidesValue = [named, keyed].some((of) => typeof of === 'string' && isSecret(of, said))
    return Object.fromEntries(
      Object.entries(value).map(([name, part], at) => {
        if (shown.includes(name)) return [name, part]
        const cleanName = maskText(name)
        // Two masked names may be equal: neither may hide the other.
        return [
          cleanName === name ? name : `${cleanName} ${at + 1}`,
          isSecret(name, part) || (hidesValue && name === 'value') ? MASKED : clean(part, []),
        ]
      }),
    )
  }

  function cleanText(text: string): string {
    const left = text.length - MAX_READ
    return left > 0
      ? `${maskText(text)}… and ${left.toLocaleString('en')} more characters`
      : maskText(text)
  }
}
