import { JobError } from '../index.ts'
import { cutBetweenCharacters, storableText } from '../job/storableText.ts'
import { createRedact, type Redact } from '../job/redact.ts'

/** What is stored of an error, in JobRun.details.error. A type, so that it is one of the JSON values. */
export type ErrorDescription = {
  code: string
  /** Its class, where that says more than `Error`. */
  name?: string
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
  const { code, ...causes } = describeCauses(known, redact)
  const name = describeName(known)
  return {
    code: describeCode(known) ?? code ?? 'handler_failed',
    ...(name !== undefined && { name }),
    message,
    ...(stack !== '' && { stack }),
    ...causes,
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
  name: unknown
  code: unknown
  message: string
  stack: string
  cause: unknown
  errors: unknown
}

const NOTHING_KNOWN: KnownError = {
  isOurs: false,
  name: undefined,
  code: null,
  message: '',
  stack: '',
  cause: undefined,
  errors: undefined,
}

function readError(error: unknown): KnownError {
  if (typeof error !== 'object' || error === null) {
    const message = storableText(error, MAX_OWN_MESSAGE_LENGTH)
    return { ...NOTHING_KNOWN, message }
  }
  const stack = readPart(error, 'stack')
  return {
    isOurs: isJobError(error),
    name: readPart(error, 'name'),
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

/** `TypeError`, `PrismaClientKnownRequestError`. Ours has a code in its place. */
function describeName({ isOurs, name }: KnownError): string | undefined {
  if (isOurs || typeof name !== 'string' || name === 'Error') return undefined
  return /^[A-Z]\w{0,63}$/.test(name) ? name : undefined
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

/** `ECONNREFUSED`, `40P01`: lower case are the engine's, such as guard_blocked, by which people tell what became of a run. */
const OF_A_SYSTEM = /^[A-Z\d_]+$/

type Causes = Pick<CauseDescription, 'cause' | 'errors'>

/**
 * At most five in a row, and of several at once the first five. `code` is the first that a system has given one of them:
 * of `fetch failed`, it says why.
 */
function describeCauses(error: KnownError, redact: Redact): Causes & { code?: string } {
  const causes: Causes & { code?: string } = {}
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
    const code = known.isOurs ? undefined : describeCode(known)
    if (code !== undefined && OF_A_SYSTEM.test(code)) causes.code ??= code
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

const MAX_FRAMES = 10
const MAX_FRAME_LENGTH = 300
/** As much of a stack as is looked at, behind its message. */
const MAX_READ = 16_384
/** So many of the frames of others are worth something where there are none of the product's own. */
const MAX_FOREIGN_FRAMES = 3

/** Where the engine's own code lies. */
const ENGINE = new URL('../', import.meta.url).pathname

/**
 * The frames of a stack that are the product's own: neither Node's, nor those of packages, nor the engine's. Paths are
 * relative to the working directory, or their last parts: where on the machine all this lies is nobody's business.
 * Where there are no frames of the product's own, it is the first few of the others; none if `onlyOwn`.
 */
function describeStack(stack: string, message: string, { onlyOwn }: { onlyOwn: boolean }): string {
  const header = message === '' ? -1 : stack.indexOf(message)
  const from = header < 0 ? 0 : header + message.length
  const frames = stack
    .slice(from, from + MAX_READ)
    .split('\n')
    .filter((line) => /^\s{1,8}at /.test(line))
  const own = frames.filter((frame) => !isForeign(frame))
  const shown =
    own.length > 0 ? own.slice(0, MAX_FRAMES) : onlyOwn ? [] : frames.slice(0, MAX_FOREIGN_FRAMES)
  return shown.map(describeFrame).join('\n')
}

function isForeign(frame: string): boolean {
  return (
    /\bnode:|[\\/]node_modules[\\/]|\((?:<anonymous>|native)\)|at <anonymous>/.test(frame) ||
    frame.includes(ENGINE)
  )
}

function describeFrame(frame: string): string {
  const short = frame.trim().replaceAll(PATH, (_, path: string) => describePath(path))
  return cutBetweenCharacters(short, MAX_FRAME_LENGTH)
}

const PATH = /(?:file:\/\/)?((?:[A-Za-z]:)?[\\/][^():]*)/g

function describePath(path: string): string {
  const parts = path.split(/[\\/]/)
  const root = workingDirectory().split(/[\\/]/)
  const isBelow = root.every((part, at) => parts[at] === part)
  if (isBelow) return parts.slice(root.length).join('/')
  return `…/${parts.slice(-3).filter(Boolean).join('/')}`
}

function workingDirectory(): string {
  try {
    return process.cwd()
  } catch {
    // It has been removed under the process.
    return ''
  }
}

/** A copy that any logger can write and that is bounded, in place of what was thrown: made of `describeError`. */
export function toLoggedError({ code, message, stack, cause }: LoggedError): Error {
  const error = Object.assign(new Error(message), { code })
  error.name = code ?? 'Error'
  error.stack = [`${error.name}: ${message}`, ...(stack?.split('\n') ?? [])].join('\n    ')
  if (cause) error.cause = toLoggedError(cause)
  return error
}

interface LoggedError extends CauseDescription {
  stack?: string
}
