import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import pretty from 'pino-pretty'

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
  if (!process.stdout.isTTY) return pino.destination({ dest: 1, sync: true })
  return pretty({ ignore: 'app,pid,hostname', sync: true })
}
