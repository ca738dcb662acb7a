import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'

/** Loaded only for a terminal: a process that logs JSON starts sooner without it. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : null

export interface CreateLoggerOptions {
  /** The name of the process, in every line. */
  app: string
  level: string
  /** Serializers and redaction of the process. */
  options?: LoggerOptions
  /** Where JSON goes. Default: standard output, or coloured lines when that is a terminal. */
  destination?: DestinationStream
}

export function createLogger({ app, level, options, destination }: CreateLoggerOptions): Logger {
  return pino({ level, base: { app }, ...options }, destination ?? standardOutput())
}

// Lines are written synchronously: an exit could lose an asynchronous write, and the last line says how the process ended.
function standardOutput(): DestinationStream {
  if (pretty === null) return pino.destination({ dest: 1, sync: true })
  return pretty({ ignore: 'app,pid,hostname', sync: true })
}
