/** Fields first, then a constant message; or a message alone. */
export type LogLine = (
  fields: object | string,
  message?: string,
  ...values: readonly unknown[]
) => void

/**
 * The logger of handlers and engine, built on the host's. A line of a level that the host's logger lacks goes to the next
 * level, or is dropped.
 */
export interface Logger {
  readonly trace: LogLine
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  readonly fatal: LogLine
  child(fields: object): Logger
}

/** The levels of a logger, as pino numbers them. */
export const LEVELS = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
} as const

// oxlint-disable-next-line typescript/no-explicit-any -- loggers differ in what they take; containedLog calls each as it wants
type AnyLine = (...args: any[]) => unknown

/**
 * A logger of the host: pino, Fastify's `app.log`, bunyan, winston, or `console`. If it has no `child`, the engine adds a
 * child's fields to each line.
 */
export interface HostLogger {
  info: AnyLine
  warn: AnyLine
  error: AnyLine
  debug?: AnyLine
  child?: AnyLine
}
