import { isDeepStrictEqual } from 'node:util'
import type { Job } from '../job/defineJob.ts'
import { JobError } from '../job/jobError.ts'
import type { JsonValue } from '../job/handler.ts'
import { checkRequest, checkWhose, SHOW_REQUEST } from '../arguments/actions.ts'
import { MASKED, maskText, MAX_READ } from '../values/maskText.ts'
import { storable } from '../values/storable.ts'
import { FIND_PAYLOAD_OF_WORK_SQL, FIND_PAYLOAD_SQL } from '../queue/blockedRunSql.ts'
import type { Connection } from '../database/database.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'

/** A longer one is told by its size: nobody reads it on a page. */
export const MAX_SHOWN_PAYLOAD_BYTES = 65_536

export type ShownPayload =
  /** Without credentials and e-mail addresses, except in the parts that the job shows. */
  | { kind: 'shown'; payload: JsonValue }
  | { kind: 'tooLarge'; bytes: number }
  /** `payloadGone`: the queue no longer holds it, as once its work is done. */
  | { kind: 'payloadGone' | 'notFound' }

/** The work of a run, or a piece of work that waits or is a dead letter. */
export type WhosePayload = { runId: string } | { workId: string }

/** Shows a payload to somebody, and records that they looked, both or neither. What is not shown is not recorded. */
export async function showPayload(
  tx: Connection,
  whose: WhosePayload,
  request: Actor & { jobs: readonly Pick<Job, 'name' | 'show'>[] },
): Promise<ShownPayload> {
  const { runId, id } = checkWhose(whose)
  const { jobs, by } = checkRequest(request, SHOW_REQUEST)
  const { rows } = await tx.query<{ name: string; bytes: number | null; payload: string | null }>(
    `select "name", octet_length("payload") as "bytes",
            case when octet_length("payload") <= ${MAX_SHOWN_PAYLOAD_BYTES} then "payload" end as "payload"
     from (${runId === undefined ? FIND_PAYLOAD_OF_WORK_SQL : FIND_PAYLOAD_SQL}) found`,
    [id],
  )
  const [found] = rows
  if (found === undefined) return { kind: 'notFound' }
  const { name, bytes, payload } = found
  if (bytes === null) return { kind: 'payloadGone' }
  if (payload === null) return { kind: 'tooLarge', bytes }
  await recordActions(
    tx,
    'showPayload',
    [{ name, ...(runId === undefined ? { workId: id } : { runId: id }) }],
    by,
  )
  const show = jobs.find((job) => job.name === name)?.show ?? []
  return { kind: 'shown', payload: withoutSecrets(payload, show) }
}

/**
 * Makes the payload of a copy from what somebody has made of a shown one: what they have left as it was shown is what it was,
 * also where it was masked.
 * @throws JobError `payload_invalid` where a mask would become a part of the copy
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
/** In a list that has got longer or shorter nobody knows which item is which. */
const hasSameItems = (one: Part, other: Part) =>
  Array.isArray(one) === Array.isArray(other) &&
  (!Array.isArray(one) || one.length === (other as unknown as unknown[]).length)

/** A part whose name has such words is a credential, whatever it holds. */
const SECRET_WORDS = new RegExp(
  [
    // Names may be written in one, such as userpassword.
    'passw(?:or[dt]|d)',
    'passphrase',
    '(?:secret|token|cookie|credential)s?\\b',
    '\\b(?:api|private|access|signing|encryption|master|session) ?keys?\\b',
    '\\bsess(?:ion)? ?ids?\\b',
    '\\b(?:pwd|passcode|otp|totp|cvv|cvc|jwt|bearer|authorization|csrf|xsrf)s?\\b',
    '\\b(?:security|verification|recovery|backup|reset|login|one time|m?fa) codes?\\b',
    '\\bcard numbers?\\b',
    // Elsewhere these are parts of ordinary names, such as pinColor or authMethod.
    '\\b(?:pass|pin|auth)(?: (?:code|hash|header))?$',
    '^sid$',
  ].join('|'),
)

/** Names whose words are also written in one, or apart: without the spaces between their words. */
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

/** A name that ends in such a word is about a credential, and holds none. */
const ABOUT_A_SECRET = / (?:count|length|limit|size|type|policy|required|enabled|consent|at)$/

function isSecret(name: string, part: JsonValue): boolean {
  if (part === null || typeof part === 'boolean') return false
  const words = wordsOf(name)
  // Language models count tokens.
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

/** By the rule for all that people see. What the job shows, it shows everybody: that is left as it is. */
function withoutSecrets(json: string, show: readonly string[]): JsonValue {
  // A copy of at most 64 levels, whoever wrote the row.
  const copy = storable(JSON.parse(json), 4 * MAX_SHOWN_PAYLOAD_BYTES)
  return copy.kind === 'stored' ? clean(copy.value ?? null, show) : MASKED

  function clean(value: JsonValue, shown: readonly string[]): JsonValue {
    if (typeof value === 'string') return cleanText(value)
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map((item) => clean(item, []))
    // As headers and variables are listed: { name: 'authorization', value: '…' }.
    const { name: named, key: keyed, value: said = null } = value
    const hidesValue = [named, keyed].some((of) => typeof of === 'string' && isSecret(of, said))
    return Object.fromEntries(
      Object.entries(value).map(([name, part], at) => {
        if (shown.includes(name)) return [name, part]
        const cleanName = maskText(name)
        // Of two names that read alike then, none may hide the other.
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
