/** Fields first, then a constant message; or a message alone. */
export type LogLine = (
  fields: object | string,
  message?: string,
  ...values: readonly unknown[]
) => void

/** What handlers and the engine log by, whichever logger the host has. A level that this lacks is the next one, or nothing. */
export interface Logger {
  readonly trace: LogLine
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
  readonly fatal: LogLine
  child(fields: object): Logger
}

// oxlint-disable-next-line typescript/no-explicit-any -- loggers differ in what they take; containedLog calls each as it wants
type AnyLine = (...args: any[]) => unknown

/**
 * A logger of the host's: pino, Fastify's `app.log`, bunyan, winston, or `console`. One that makes no children has the
 * fields of each line told to it.
 */
export interface HostLogger {
  info: AnyLine
  warn: AnyLine
  error: AnyLine
  debug?: AnyLine
  child?: AnyLine
}
