import type { Logger } from 'pino'

/** Writes a line. The logger is the product's own: one that fails must not cost a run its end. */
export function writeLine(
  log: Logger,
  level: 'info' | 'warn' | 'error' | 'fatal',
  fields: object,
  message: string,
): void {
  try {
    log[level](fields, message)
  } catch {
    // There is nowhere to say it.
  }
}
