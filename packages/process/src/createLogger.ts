import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import pretty from 'pino-pretty'

export interface CreateLoggerOptions {
  /** Which process speaks, in every line. */
  app: string
  level: string
  /** Further pino options: serializers, redaction. */
  options?: LoggerOptions
  /** Where lines go. Default: standard output, as JSON, or for reading when it is a terminal. */
  destination?: DestinationStream
}

/** A pino logger. JSON is for machines; people at a terminal get coloured lines. */
export function createLogger({ app, level, options, destination }: CreateLoggerOptions): Logger {
  const out = destination ?? (process.stdout.isTTY ? pretty({ ignore: 'app,pid,hostname' }) : undefined)
  const all = { level, base: { app }, ...options }
  return out ? pino(all, out) : pino(all)
}
