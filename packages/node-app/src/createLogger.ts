import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'

/** Loaded where a person reads: a process that logs JSON starts sooner without it. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : null

export interface CreateLoggerOptions {
  /** Which process speaks; in every line. */
  app: string
  level: string
  /** What the process knows better: serializers, redaction. */
  options?: LoggerOptions
  /** Where JSON goes. Default: standard output, or coloured lines where that is a terminal. */
  destination?: DestinationStream
}

/** A pino logger: JSON for machines, coloured lines for a person at a terminal. */
export function createLogger({ app, level, options, destination }: CreateLoggerOptions): Logger {
  return pino({ level, base: { app }, ...options }, destination ?? standardOutput())
}

// Written at once: an asynchronous write that is in flight when the process exits can be lost, and the
// last line tells how it ended.
function standardOutput(): DestinationStream {
  if (pretty === null) return pino.destination({ dest: 1, sync: true })
  return pretty({ ignore: 'app,pid,hostname', sync: true })
}
