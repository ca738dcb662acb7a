import { JobError } from '../job/jobError.ts'
import { maskText, MAX_READ, type Mask } from '../values/maskText.ts'
import { readPart } from '../values/readPart.ts'
import { readableLine, storableText } from '../values/storableText.ts'
import { meaningOfSqlState } from '../database/sqlState.ts'

/** An error as JobRun.details.error stores it. A type and not an interface, so that it is assignable to JsonValue. */
export type ErrorDescription = {
  code: string
  /** The name of its class, unless that is `Error`. */
  name?: string
  message: string
  /** PostgreSQL's meaning of the code. */
  meaning?: string
  /** Where it was thrown: the product's own frames, one a line, without the line that holds the message. */
  stack?: string
  cause?: CauseDescription
  /** The first errors of an AggregateError. */
  errors?: CauseDescription[]
  /** Why the run lacks the error's details. */
  omitted?: 'details_too_large'
}

export type CauseDescription = {
  code?: string
  message: string
  cause?: CauseDescription
  errors?: CauseDescription[]
}

/** The message of an error that is no JobError. */
const MAX_MESSAGE_LENGTH = 500
/** The message of a JobError, which its author wrote for this place. */
const MAX_OWN_MESSAGE_LENGTH = 2_000
const MAX_STACK_LENGTH = 3_000
const MAX_CAUSES = 5
const MAX_ERRORS = 5

/**
 * Describes an error. All people may see the code, the class and the frames. Only people who may see payloads see the messages,
 * which `mask` masks. It never throws, for any thrown value, and is bounded in time and size.
 */
export function describeError(error: unknown, mask: Mask = maskText): ErrorDescription {
  const known = readError(error)
  const message = describeMessage(known, mask)
  const stack = describeStack(known)
  const { code: codeOfCause, ...causes } = describeCauses(known, mask)
  const own = describeCode(known)
  // Prisma's codes are less exact than the error that it has wrapped.
  const isLess = own === undefined || (!known.isOurs && OF_PRISMA.test(own))
  const code = (isLess ? (codeOfCause ?? own) : own) ?? 'handler_failed'
  const meaning = meaningOfSqlState(code)
  const name = describeName(known)
  return {
    code,
    ...(name !== undefined && { name }),
    message,
    ...(meaning !== undefined && { meaning }),
    ...(stack !== '' && { stack }),
    ...causes,
  }
}

/** Whether it is a JobError. A Proxy may throw at the very question. */
export function isJobError(error: unknown): error is JobError {
  try {
    return error instanceof JobError
  } catch {
    return false
  }
}

/** The parts of an error, each read once. */
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

/** Reads the properties of any thrown value, even if some of them throw. */
function readError(error: unknown): KnownError {
  if (!isObject(error)) {
    const message = storableText(error, MAX_OWN_MESSAGE_LENGTH)
    return { ...NOTHING_KNOWN, message }
  }
  const stack = readPart(error, 'stack')
  const code = readPart(error, 'code')
  const wrapped = readWrapped(error)
  // For raw SQL, Prisma's message only repeats PostgreSQL's.
  const shown = code === RAW_SQL_FAILED && wrapped !== undefined ? wrapped : error
  return {
    isOurs: isJobError(error),
    name: readPart(error, 'name'),
    code: (shown === error ? code : readPart(shown, 'code')) ?? readPart(shown, 'originalCode'),
    message: readMessage(shown),
    stack: typeof stack === 'string' ? stack : '',
    cause: readPart(error, 'cause') ?? (shown === error ? wrapped : undefined),
    errors: readPart(error, 'errors'),
  }
}

const OF_PRISMA = /^P[1-9]\d{3}$/
const RAW_SQL_FAILED = 'P2010'

/** The database's error in an error of Prisma: since version 7 the adapter's error, before it `meta` itself. */
function readWrapped(error: object): object | undefined {
  const meta = readPart(error, 'meta')
  if (!isObject(meta)) return undefined
  const adapterError = readPart(meta, 'driverAdapterError')
  const wrapped = isObject(adapterError) ? readPart(adapterError, 'cause') : meta
  if (!isObject(wrapped)) return undefined
  const codes = [readPart(wrapped, 'code'), readPart(wrapped, 'originalCode')]
  return codes.some((code) => typeof code === 'string') ? wrapped : undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function readMessage(error: object): string {
  const message = readPart(error, 'message') ?? readPart(error, 'originalMessage')
  if (typeof message === 'string' && message !== '') return message
  if (message !== undefined && message !== '') return storableText(message)
  const name = readPart(error, 'name')
  return typeof name === 'string' && name !== '' ? name : storableText(error)
}

const MAX_CODE_LENGTH = 64

/** The code of a JobError: on one line, because it stands in subjects, filters and lists. Undefined where it is empty. */
function describeOwnCode(code: unknown): string | undefined {
  return typeof code === 'string' ? readableLine(code, MAX_CODE_LENGTH) || undefined : undefined
}

function describeCode({ isOurs, code }: KnownError): string | undefined {
  return isOurs ? describeOwnCode(code) : describeWord(code, /^\w{1,64}$/)
}

/** `TypeError`, `PrismaClientKnownRequestError`. A JobError has its code instead. */
function describeName({ isOurs, name }: KnownError): string | undefined {
  return isOurs || name === 'Error' ? undefined : describeWord(name, /^[A-Z]\w{0,63}$/)
}

function describeWord(word: unknown, shape: RegExp): string | undefined {
  return typeof word === 'string' && shape.test(word) ? word : undefined
}

function describeMessage({ isOurs, message }: KnownError, mask: Mask): string {
  if (isOurs) return storableText(mask(message), MAX_OWN_MESSAGE_LENGTH)
  // Prisma quotes the whole call with its arguments, and puts the reason into the last paragraph.
  const reason = message.slice(message.lastIndexOf('\n\n') + 1).trim()
  return storableText(mask(reason), MAX_MESSAGE_LENGTH)
}

/** `ECONNREFUSED`, `40P01`: codes in lower case are the engine's, such as guard_blocked, and name what became of a run. */
const OF_A_SYSTEM = /^[A-Z\d_]+$/

type Causes = Pick<CauseDescription, 'cause' | 'errors'>

/**
 * At most five in a row, and of several at once the first five. `code` is the first that a system has given one of them:
 * of `fetch failed`, it has the reason.
 */
function describeCauses(error: KnownError, mask: Mask): Causes & { code?: string } {
  const causes: Causes & { code?: string } = {}
  const seen = new Set<unknown>()
  let at: CauseDescription | Causes = causes
  let known = error
  for (let count = 0; ; count++) {
    const errors = describeErrors(known.errors, mask)
    if (errors.length > 0) at.errors = errors
    const { cause } = known
    if (cause === undefined || cause === null || seen.has(cause) || count === MAX_CAUSES) break
    seen.add(cause)
    known = readError(cause)
    const code = known.isOurs ? undefined : describeCode(known)
    if (code !== undefined && OF_A_SYSTEM.test(code)) causes.code ??= code
    at = at.cause = describeCause(known, mask)
  }
  return causes
}

function describeErrors(errors: unknown, mask: Mask): CauseDescription[] {
  const described: CauseDescription[] = []
  try {
    if (!Array.isArray(errors)) return described
    for (let at = 0; at < Math.min(errors.length, MAX_ERRORS); at++) {
      described.push(describeCause(readError(errors[at]), mask))
    }
  } catch {
    // Keep those that could be read.
  }
  return described
}

function describeCause(known: KnownError, mask: Mask): CauseDescription {
  const code = describeCode(known)
  return { ...(code !== undefined && { code }), message: describeMessage(known, mask) }
}

const MAX_FRAMES = 10
const MAX_FRAME_LENGTH = 300
/** How many foreign frames to keep when none is the product's own. */
const MAX_FOREIGN_FRAMES = 3

/** The directory of the engine's own code. */
const ENGINE = new URL('../', import.meta.url).pathname

const CALLED = String.raw`(?:async |new )?[\p{L}\p{N}_$.#<>]+(?: \[as [\p{L}\p{N}_$.#<>]+\])?`
const LOCATION = String.raw`(?:(?:node:|[a-z-]+:\/\/|[\\/.]|(?=[A-Za-z]:[\\/]))(?:\/?[A-Za-z]:)?[^:]*:\d+:\d+|<anonymous>|native)`
/** A frame as V8 writes it: a stack may have other lines, such as those of a message, which may hold anything. */
const FRAME = new RegExp(String.raw`^\s{1,8}at (?:${CALLED} \(${LOCATION}\)|${LOCATION})$`, 'u')

/**
 * Where it was thrown: the product's own frames, neither Node's, nor those of packages, nor the engine's. If there are none,
 * the first few others, or none of a JobError. Paths are relative to the working directory, or cut to their last parts: they do
 * not reveal where on the machine they are.
 */
function describeStack({ isOurs, stack, message }: KnownError): string {
  const header = message === '' ? -1 : stack.indexOf(message)
  const from = header < 0 ? 0 : header + message.length
  const frames = stack
    .slice(from, from + MAX_READ)
    .split('\n')
    .filter((line) => FRAME.test(line))
  const own = frames.filter((frame) => !isForeign(frame))
  const others = isOurs ? [] : frames.slice(0, MAX_FOREIGN_FRAMES)
  const shown = own.length > 0 ? own.slice(0, MAX_FRAMES) : others
  return storableText(shown.map(describeFrame).join('\n'), MAX_STACK_LENGTH)
}

function isForeign(frame: string): boolean {
  return (
    /\bnode:|[\\/]node_modules[\\/]|\((?:<anonymous>|native)\)|at <anonymous>/.test(frame) ||
    frame.includes(ENGINE)
  )
}

function describeFrame(frame: string): string {
  const short = frame.trim().replaceAll(PATH, (_, path: string) => describePath(path))
  return readableLine(short, MAX_FRAME_LENGTH)
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
    // The working directory was removed.
    return ''
  }
}

/** Makes a bounded error, which any logger can write, from what `describeError` returned. */
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
