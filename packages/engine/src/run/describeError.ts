import { JobError } from '../index.ts'
import { storableText } from '../job/storableText.ts'
import { describeStack } from './describeStack.ts'
import { createRedact, type Redact } from './redact.ts'

/** What is stored of an error, in JobRun.details.error. A type, so that it is one of the JSON values. */
export type ErrorDescription = {
  code: string
  message: string
  /** Where it was thrown: the product's own frames, a line each. */
  stack?: string
  cause?: CauseDescription
  /** The first of those of an AggregateError. */
  errors?: CauseDescription[]
  /** Why its details are not there. */
  omitted?: 'details_too_large'
}

export type CauseDescription = {
  code?: string
  message: string
  cause?: CauseDescription
  errors?: CauseDescription[]
}

/** Of what a foreign error says. */
const MAX_MESSAGE_LENGTH = 500
/** Of what a JobError says, which was written for this place. */
const MAX_OWN_MESSAGE_LENGTH = 2_000
const MAX_CODE_LENGTH = 64
const MAX_STACK_LENGTH = 3_000
const MAX_CAUSES = 5
const MAX_ERRORS = 5

/**
 * Says what went wrong without saying with what: credentials, addresses, and every text of the payload are taken out
 * of what others have written. It never throws, whatever was thrown, and is bounded in time and size.
 */
export function describeError(error: unknown, payload?: unknown): ErrorDescription {
  const redact = createRedact(payload)
  const known = readError(error)
  const message = describeMessage(known, redact)
  const stack = describeFrames(known, redact)
  return {
    code: describeCode(known) ?? 'handler_failed',
    message,
    ...(stack !== '' && { stack }),
    ...describeCauses(known, redact),
  }
}

/** Whether it is one of ours; a Proxy may throw at the very question. */
export function isJobError(error: unknown): error is JobError {
  try {
    return error instanceof JobError
  } catch {
    return false
  }
}

/** What an error says, each part read once. */
interface KnownError {
  isOurs: boolean
  code: unknown
  message: string
  stack: string
  cause: unknown
  errors: unknown
}

function readError(error: unknown): KnownError {
  if (typeof error !== 'object' || error === null) {
    const message = storableText(error, MAX_OWN_MESSAGE_LENGTH)
    return { isOurs: false, code: null, message, stack: '', cause: undefined, errors: undefined }
  }
  const stack = readPart(error, 'stack')
  return {
    isOurs: isJobError(error),
    code: readPart(error, 'code'),
    message: readMessage(error),
    stack: typeof stack === 'string' ? stack : '',
    cause: readPart(error, 'cause'),
    errors: readPart(error, 'errors'),
  }
}

function readMessage(error: object): string {
  const message = readPart(error, 'message')
  if (typeof message === 'string' && message !== '') return message
  if (message !== undefined && message !== '') return storableText(message)
  const name = readPart(error, 'name')
  return typeof name === 'string' && name !== '' ? name : storableText(error)
}

function readPart(error: object, part: string): unknown {
  try {
    return (error as Record<string, unknown>)[part]
  } catch {
    return undefined
  }
}

function describeCode({ isOurs, code }: KnownError): string | undefined {
  if (typeof code !== 'string' || code === '') return undefined
  if (isOurs) return storableText(code, MAX_CODE_LENGTH)
  return /^\w{1,64}$/.test(code) ? code : undefined
}

function describeMessage({ isOurs, message }: KnownError, redact: Redact): string {
  if (isOurs) return storableText(message, MAX_OWN_MESSAGE_LENGTH)
  // Prisma quotes the whole call, arguments included, and puts the reason in the last paragraph.
  const reason = message.slice(message.lastIndexOf('\n\n') + 1).trim()
  return storableText(redact(reason), MAX_MESSAGE_LENGTH)
}

function describeFrames({ isOurs, stack, message }: KnownError, redact: Redact): string {
  if (stack === '') return ''
  const frames = describeStack(stack, message, { onlyOwn: isOurs })
  return frames === '' ? '' : storableText(redact(frames), MAX_STACK_LENGTH)
}

type Causes = Pick<CauseDescription, 'cause' | 'errors'>

/** At most five in a row, and of several at once the first five. */
function describeCauses(error: KnownError, redact: Redact): Causes {
  const causes: Causes = {}
  const seen = new Set<unknown>()
  let at: CauseDescription | Causes = causes
  let known = error
  for (let count = 0; ; count++) {
    const errors = describeErrors(known.errors, redact)
    if (errors.length > 0) at.errors = errors
    const { cause } = known
    if (cause === undefined || cause === null || seen.has(cause) || count === MAX_CAUSES) break
    seen.add(cause)
    known = readError(cause)
    at = at.cause = describeCause(known, redact)
  }
  return causes
}

function describeErrors(errors: unknown, redact: Redact): CauseDescription[] {
  const described: CauseDescription[] = []
  try {
    if (!Array.isArray(errors)) return described
    for (let at = 0; at < Math.min(errors.length, MAX_ERRORS); at++) {
      described.push(describeCause(readError(errors[at]), redact))
    }
  } catch {
    // What could be read of them is there.
  }
  return described
}

function describeCause(known: KnownError, redact: Redact): CauseDescription {
  const code = describeCode(known)
  return { ...(code !== undefined && { code }), message: describeMessage(known, redact) }
}
