import { LEVELS, type Logger, type LogLine } from '../job/logger.ts'
import { MAX_READ, type Mask } from '../values/maskText.ts'
import { readPart } from '../values/readPart.ts'
import { storable } from '../values/storable.ts'
import { readableLine, storableText } from '../values/storableText.ts'
import { describeError } from './describeError.ts'
import { formatMessage, MAX_FIELDS, MAX_FIELDS_BYTES, mergeFields } from './foreignLine.ts'

/** The content of JobRun.logs. A type and not an interface, so that it is assignable to JsonValue. */
export type KeptLog = {
  /** The last lines, oldest first. */
  lines: KeptLine[]
  /** How many lines came before these. */
  earlier: number
}

export type KeptLine = {
  /** Milliseconds since 1970. */
  at: number
  level: LogLevel
  message: string
  /** `orderId=42 customer.country=DE`; absent without fields. */
  fields?: string
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Keeps what a run logs, for people who look at the run later. */
export interface RunLog {
  log: Logger
  /** Returns the kept lines like that where there are new ones since it was last called; null otherwise. */
  readNew(): string | null
  /** Ends it, and returns the kept lines as JSON, masked; null when the run logged nothing. */
  close(): string | null
}

const MAX_LINES = 100
/** Characters of all lines; MAX_KEPT_PART is for the message or the fields of one. */
const MAX_LENGTH = 65_536
const MAX_KEPT_PART = 1_000

/**
 * Writes to the worker's logger and keeps the last lines from that logger's level on, or from `info` on when it names no
 * level. What handlers log is foreign: this copies it at once, within bounds, and never throws over it.
 */
export function createRunLog(
  log: Logger & { readonly level?: string | undefined },
  now: () => Date,
  mask: Mask,
): RunLog {
  const least = LEVELS[log.level as LogLevel] ?? LEVELS.info
  let lines: KeptLine[] = []
  let length = 0
  let earlier = 0
  let isClosed = false
  let hasNew = false
  /** The first lines that are masked already. */
  let masked = 0

  function keep(level: LogLevel, fixed: object, args: readonly unknown[]): void {
    if (isClosed) return
    const line = { at: now().getTime(), level, ...readLine(fixed, args) }
    lines.push(line)
    hasNew = true
    length += lengthOf(line)
    while (lines.length > MAX_LINES || (length > MAX_LENGTH && lines.length > 1)) {
      length -= lengthOf(lines.shift() as KeptLine)
      masked = Math.max(0, masked - 1)
      earlier++
    }
  }

  function open(host: Logger, fixed: object): Logger {
    const at = (level: LogLevel): LogLine =>
      LEVELS[level] < least
        ? (...line) => host[level](...line)
        : (...line) => {
            host[level](...line)
            keep(level, fixed, line)
          }
    return {
      trace: at('trace'),
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      fatal: at('fatal'),
      child: (fields) => open(host.child(fields), mergeFields(fixed, fields)),
    }
  }

  function toJson(): string {
    lines = lines.map((line, nth) => (nth < masked ? line : maskLine(line, mask)))
    masked = lines.length
    length = lines.reduce((sum, line) => sum + lengthOf(line), 0)
    hasNew = false
    const kept: KeptLog = { lines, earlier }
    return JSON.stringify(kept)
  }

  return {
    log: open(log, {}),
    readNew: () => (hasNew && !isClosed ? toJson() : null),
    close() {
      isClosed = true
      if (lines.length === 0) return null
      const json = toJson()
      lines = []
      return json
    },
  }
}

const lengthOf = ({ message, fields = '' }: KeptLine) => message.length + fields.length

/** Reads a line as loggers take it: fields first, then a message; or a message alone. */
function readLine(fixed: object, args: readonly unknown[]): Pick<KeptLine, 'message' | 'fields'> {
  try {
    const [first, ...rest] = args
    const isMessage = typeof first !== 'object' || first === null
    const [text, ...values] = isMessage ? args : rest
    const error = first instanceof Error ? first : null
    const message =
      text === undefined && error !== null ? textOfError(error) : formatText(text, values)
    const own = isMessage ? {} : error !== null ? (text === undefined ? {} : { err: error }) : first
    const fields = bounded([...formatFields(fixed), ...formatFields(own)].join(' '))
    return { message, ...(fields !== '' && { fields }) }
  } catch {
    return { message: '[unreadable]' }
  }
}

/** storableText marks a cut with one more character, so that maskText sees that something was cut off. */
const bounded = (foreign: unknown) => storableText(foreign ?? '', MAX_READ)

function formatText(text: unknown, values: readonly unknown[]): string {
  if (values.length === 0 || typeof text !== 'string') return bounded(text)
  return bounded(formatMessage(text, values))
}

function formatFields(fields: object): string[] {
  const texts: string[] = []
  for (const name of Object.keys(fields)) {
    if (texts.length >= MAX_FIELDS) break
    const value = readPart(fields, name, '[unreadable]')
    if (value instanceof Error) texts.push(`${name}=${textOfError(value)}`)
    else addLeaves(texts, name, value)
  }
  return texts
}

/** Adds each leaf by its path, as plain text: patterns do not recognise what JSON has quoted. */
function addLeaves(texts: string[], name: string, value: unknown): void {
  if (typeof value === 'string') return void texts.push(`${name}=${bounded(value)}`)
  const copy = storable(value, MAX_FIELDS_BYTES)
  if (copy.kind === 'tooLarge') return void texts.push(`${name}=[too large]`)
  const left: [path: string, value: unknown][] = [[name, copy.value]]
  for (
    let next = left.shift();
    next !== undefined && texts.length < MAX_FIELDS;
    next = left.shift()
  ) {
    const [path, item] = next
    if (typeof item === 'object' && item !== null)
      left.unshift(
        ...Object.entries(item).map(([key, inner]): [string, unknown] => [`${path}.${key}`, inner]),
      )
    else if (item !== undefined)
      texts.push(`${path}=${typeof item === 'string' ? item : JSON.stringify(item)}`)
  }
}

/** Puts an error on one line: code, message, first frame, causes. */
function textOfError(error: Error): string {
  const { code, message, stack, cause } = describeError(error)
  const [frame] = stack?.split('\n') ?? []
  const causes: string[] = []
  for (let at = cause; at !== undefined; at = at.cause)
    causes.push(` ← ${at.code === undefined ? '' : `${at.code} `}${at.message}`)
  return bounded(`${code} ${message}${frame === undefined ? '' : ` ${frame}`}${causes.join('')}`)
}

function maskLine({ at, level, message, fields }: KeptLine, mask: Mask): KeptLine {
  return {
    at,
    level,
    message: storableText(mask(message), MAX_KEPT_PART),
    ...(fields !== undefined && { fields: readableLine(mask(fields), MAX_KEPT_PART) }),
  }
}
