import { LEVELS, type HostLogger, type Logger } from '../job/logger.ts'
import { readPart } from '../values/readPart.ts'

/** The engine's logger, with the level that some host loggers report. */
export type ContainedLog = Logger & {
  /** The lowest level that it writes, by pino's names. */
  readonly level?: string | undefined
  /** The lowest level that all its lines need. Absent if unknown, for example if transports of winston have separate levels. */
  readonly threshold?: string | undefined
  /** The fields that it adds to each line. */
  bindings?(): object
}

/** Whether lines of that level may be written. If not, the caller need not build them: every run writes two. */
export function isLevelOn(log: ContainedLog, level: Level): boolean {
  const { threshold } = log
  if (threshold === 'silent') return false
  return LEVELS[level] >= (LEVELS[threshold as Level] ?? 0)
}

type Level = keyof typeof LEVELS

/** The methods to try for each level. A logger with none of them does not get the line. */
const METHODS: Readonly<Record<Level, readonly string[]>> = {
  trace: ['trace', 'silly'],
  debug: ['debug', 'verbose'],
  info: ['info'],
  warn: ['warn'],
  error: ['error'],
  fatal: ['fatal', 'error'],
}

/** Without a logger of the host, warnings and errors go to standard error. */
function openStandardError(): Partial<HostLogger> {
  const { warn, error } = console
  return { warn, error }
}

/**
 * Wraps the host's logger so that it never throws: a line that it fails to write is lost, and nothing else. pino's transports
 * make every call throw once their thread is gone. If a logger fails to create a child, the logger itself is used.
 */
export function containedLog(host: Partial<HostLogger> = openStandardError()): ContainedLog {
  return contain(host, findManner(host), {})
}

/** The order of arguments in which a logger takes a line's fields. */
type Manner = 'first' | 'winston' | 'last'

function findManner(host: object): Manner {
  // pino, bunyan and Fastify's take the fields first; console has no children.
  if (typeof readPart(host, 'child') !== 'function') return 'last'
  const isWinston = readPart(host, 'transports') !== undefined && 'format' in host
  return isWinston ? 'winston' : 'first'
}

/** Creates a logger that passes lines to the host's, in the host's order of arguments, and never throws. */
function contain(host: object, manner: Manner, fixed: object): ContainedLog {
  // Find each method once: every run writes lines.
  const write = (level: Level) => {
    let method: ((...args: unknown[]) => unknown) | null | undefined
    return (...line: unknown[]): void => {
      try {
        if (method === undefined) method = findMethod(host, level)
        const written = method?.apply(host, toLine(manner, fixed, line))
        if (typeof written === 'object' && written !== null) absorb(written)
      } catch {
        // There is no place to report it.
      }
    }
  }
  const contained: ContainedLog = {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    fatal: write('fatal'),
    child(fields) {
      try {
        if (manner === 'last') return contain(host, manner, { ...fixed, ...fields })
        return contain((host as Required<HostLogger>).child(fields) as object, manner, fixed)
      } catch {
        return contained
      }
    },
    get threshold() {
      return manner === 'first' ? contained.level : undefined
    },
    get level() {
      const level = readPart(host, 'level')
      return typeof level === 'string' ? level : undefined
    },
    bindings() {
      try {
        return manner === 'first' ? (host as { bindings(): object }).bindings() : fixed
      } catch {
        return fixed
      }
    },
  }
  return contained
}

function findMethod(host: object, level: Level): ((...args: unknown[]) => unknown) | null {
  for (const name of METHODS[level]) {
    const method = readPart(host, name)
    if (typeof method === 'function') return method as (...args: unknown[]) => unknown
  }
  return null
}

/** Ignores a promise that a logger returned, and its rejection. */
function absorb(written: object): void {
  if (typeof (written as { then?: unknown }).then === 'function')
    Promise.resolve(written).catch(() => undefined)
}

/** The arguments for the host's method, in the order of its kind of logger. */
function toLine(manner: Manner, fixed: object, line: unknown[]): unknown[] {
  if (manner === 'first') return line
  const [first, ...rest] = line
  const [fields, message, values] =
    typeof first === 'object' && first !== null
      ? [first, rest[0], rest.slice(1)]
      : [{}, first, rest]
  const named = fields instanceof Error ? { err: fields } : fields
  const text = message ?? (fields instanceof Error ? fields.message : '')
  if (manner === 'winston') return [{ ...fixed, ...told(named), message: text }, ...values]
  const all = { ...fixed, ...named }
  return Object.keys(all).length === 0 ? [text, ...values] : [text, ...values, all]
}

/** Turns an error into fields: winston's JSON would write it as an empty object. */
function told(fields: object): object {
  const { err } = fields as { err?: unknown }
  if (!(err instanceof Error)) return fields
  const { name, message, stack } = err
  return { ...fields, err: { name, message, stack } }
}
