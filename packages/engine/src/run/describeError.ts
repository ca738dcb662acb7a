import { JobError } from '../job/jobError.ts'
import { readPart } from '../job/readPart.ts'
import { createRedact, MAX_READ, type Redact } from '../job/redact.ts'
import { readableLine, readableText, storableText } from '../job/storableText.ts'
import { meaningOfSqlState } from '../store/sqlState.ts'

/** An error as JobRun.details.error stores it. A type and not an interface, so that it is assignable to JsonValue. */
export type ErrorDescription = {
  code: string
  /** The name of its class, unless that is `Error`. */
  name?: string
  message: string
  /** What PostgreSQL means by the code. */
  meaning?: string
  /** Where it was thrown: the product's own frames, one a line. */
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
 * Describes what went wrong without the data: it takes credentials, addresses and every text of the payload out of foreign
 * messages. It never throws, whatever was thrown, and is bounded in time and size.
 */
export function describeError(error: unknown, payload?: unknown): ErrorDescription {
  const redact = createRedact(payload)
  const known = readError(error)
  const message = describeMessage(known, redact)
  const stack = describeFrames(known, redact)
  const { code: codeOfCause, ...causes } = describeCauses(known, redact)
  const own = describeCode(known, redact)
  // Prisma's codes say less than what it has wrapped.
  const isLess = own === undefined || (!known.isOurs && OF_PRISMA.test(own))
  const code = (isLess ? (codeOfCause ?? own) : own) ?? 'handler_failed'
  const meaning = meaningOfSqlState(code)
  const name = describeName(known, redact)
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

/** Reads the parts of a thrown value, whatever it is and whichever of them throw. */
function readError(error: unknown): KnownError {
  if (!isObject(error)) {
    const message = storableText(error, MAX_OWN_MESSAGE_LENGTH)
    return { ...NOTHING_KNOWN, message }
  }
  const stack = readPart(error, 'stack')
  const code = readPart(error, 'code')
  const wrapped = readWrapped(error)
  // Of raw SQL, Prisma says nothing that PostgreSQL has not said.
  const told = code === RAW_SQL_FAILED && wrapped !== undefined ? wrapped : error
  return {
    isOurs: isJobError(error),
    name: readPart(error, 'name'),
    code: (told === error ? code : readPart(told, 'code')) ?? readPart(told, 'originalCode'),
    message: readMessage(told),
    stack: typeof stack === 'string' ? stack : '',
    cause: readPart(error, 'cause') ?? (told === error ? wrapped : undefined),
    errors: readPart(error, 'errors'),
  }
}

const OF_PRISMA = /^P[1-9]\d{3}$/
const RAW_SQL_FAILED = 'P2010'

/** What the database has said, where Prisma puts it: since 7 what its adapter threw, before it `meta` itself. */
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

/** The code of a JobError: on one line, because it stands in subjects, filters and lists. Undefined where it says nothing. */
function describeOwnCode(code: unknown): string | undefined {
  return typeof code === 'string' ? readableLine(code, MAX_CODE_LENGTH) || undefined : undefined
}

function describeCode({ isOurs, code }: KnownError, redact: Redact): string | undefined {
  return isOurs ? describeOwnCode(code) : describeWord(code, /^\w{1,64}$/, redact)
}

/** `TypeError`, `PrismaClientKnownRequestError`. A JobError has its code instead. */
function describeName({ isOurs, name }: KnownError, redact: Redact): string | undefined {
  return isOurs || name === 'Error' ? undefined : describeWord(name, /^[A-Z]\w{0,63}$/, redact)
}

/** Anybody can write names and codes, and put into them what the payload holds. */
function describeWord(word: unknown, shape: RegExp, redact: Redact): string | undefined {
  return typeof word === 'string' && shape.test(word) && redact(word) === word ? word : undefined
}

function describeMessage({ isOurs, message }: KnownError, redact: Redact): string {
  if (isOurs) return readableText(message, MAX_OWN_MESSAGE_LENGTH)
  // Prisma quotes the whole call with its arguments, and puts the reason into the last paragraph.
  const reason = message.slice(message.lastIndexOf('\n\n') + 1).trim()
  return storableText(redact(reason), MAX_MESSAGE_LENGTH)
}

function describeFrames({ isOurs, stack, message }: KnownError, redact: Redact): string {
  if (stack === '') return ''
  const header = message === '' ? -1 : stack.indexOf(message)
  const from = header < 0 ? 0 : header + message.length
  const frames = describeStack(stack.slice(from, from + MAX_READ), redact, { onlyOwn: isOurs })
  return storableText(frames, MAX_STACK_LENGTH)
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
    const code = known.isOurs ? undefined : describeCode(known, redact)
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
    // Keep those that could be read.
  }
  return described
}

function describeCause(known: KnownError, redact: Redact): CauseDescription {
  const code = describeCode(known, redact)
  return { ...(code !== undefined && { code }), message: describeMessage(known, redact) }
}

const MAX_FRAMES = 10
const MAX_FRAME_LENGTH = 300
/** How many foreign frames to keep when none is the product's own. */
const MAX_FOREIGN_FRAMES = 3

/** The directory of the engine's own code. */
const ENGINE = new URL('../', import.meta.url).pathname

/**
 * The product's own frames among these: neither Node's, nor those of packages, nor the engine's. If there are none, the
 * first few others, or none with `onlyOwn`. Paths are relative to the working directory, or cut to their last parts, so
 * that nobody learns where on the machine they are.
 */
function describeStack(stack: string, redact: Redact, { onlyOwn }: { onlyOwn: boolean }): string {
  // Redact before anything is taken apart or cut: anybody can write a stack, too.
  const clean = redact(stack).split('\n')
  const written = stack.split('\n')
  // Whose a frame is, its path says, of which redacting may have left little.
  const seen = written.length === clean.length ? written : clean
  const frames = clean.flatMap((shown, at) => {
    const line = seen[at] ?? ''
    return /^\s{1,8}at /.test(line) ? [{ shown, isForeign: isForeign(line) }] : []
  })
  const own = frames.filter((frame) => !frame.isForeign)
  const told =
    own.length > 0 ? own.slice(0, MAX_FRAMES) : onlyOwn ? [] : frames.slice(0, MAX_FOREIGN_FRAMES)
  return told.map((frame) => describeFrame(frame.shown)).join('\n')
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
    // Somebody has removed the working directory.
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
