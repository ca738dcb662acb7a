import { prettyFactory } from 'pino-pretty'

/** Makes a process's log lines readable on a terminal. Elsewhere they stay JSON. */
export function createLineFormatter(stream: NodeJS.WriteStream): (line: string) => string {
  if (!stream.isTTY) return (line) => line
  const format = prettyFactory({
    colorize: stream.hasColors(),
    ignore: 'app,pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  })
  return (line) => (line.startsWith('{') ? format(line) : line)
}
