import type { HostLogger, Logger } from '../job/logger.ts'

/** With what some loggers know of themselves. */
export type ContainedLog = Logger & {
  /** The least that it writes, in pino's words. */
  readonly level?: string | undefined
  /** What stands in each of its lines. */
  bindings?(): object
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** Who has no method for a level has one for the next, or the line is not written. */
const METHODS: Readonly<Record<Level, readonly string[]>> = {
  trace: ['trace', 'silly'],
  debug: ['debug', 'verbose'],
  info: ['info'],
  warn: ['warn'],
  error: ['error'],
  fatal: ['fatal', 'error'],
}

/** What has to be seen also where nobody has named a logger. */
function openStandardError(): Partial<HostLogger> {
  const { warn, error } = console
  return { warn, error }
}

/**
 * The host's logger as this engine calls it, but that a line which it fails to write is lost, and nothing else: pino's
 * transports make every call throw once their thread is gone. One that fails to make a child is its own.
 */
export function containedLog(host: Partial<HostLogger> = openStandardError()): ContainedLog {
  return contain(host, findManner(host), {})
}

/** How a logger takes a line's fields. */
type Manner = 'first' | 'winston' | 'last'

function findManner(host: object): Manner {
  // pino, bunyan and Fastify's take them first; console has no children.
  if (typeof readPart(host, 'child') !== 'function') return 'last'
  const isWinston = readPart(host, 'transports') !== undefined && 'format' in host
  return isWinston ? 'winston' : 'first'
}

function contain(host: object, manner: Manner, fixed: object): ContainedLog {
  // Found once for each that is used: lines are written on the way of every run.
  const write = (level: Level) => {
    let method: ((...args: unknown[]) => unknown) | null | undefined
    return (...line: unknown[]): void => {
      try {
        if (method === undefined) method = findMethod(host, level)
        const written = method?.apply(host, toLine(manner, fixed, line))
        if (typeof written === 'object' && written !== null) absorb(written)
      } catch {
        // There is nowhere to say it.
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

/** A logger may write later; what that comes to is for nobody. */
function absorb(written: object): void {
  if (typeof (written as { then?: unknown }).then === 'function')
    Promise.resolve(written).catch(() => undefined)
}

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

/** winston's JSON has nothing for an error within a line. */
function told(fields: object): object {
  const { err } = fields as { err?: unknown }
  if (!(err instanceof Error)) return fields
  const { name, message, stack } = err
  return { ...fields, err: { name, message, stack } }
}

function readPart(host: object, part: string): unknown {
  try {
    return (host as Record<string, unknown>)[part]
  } catch {
    return undefined
  }
}
