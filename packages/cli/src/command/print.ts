import type { Terminal } from './runCommand.ts'

/** Prints lines, or an object as JSON on one line. Returns the exit code of success. */
export function print({ stdout }: Terminal, what: readonly string[] | object): number {
  stdout.write(`${Array.isArray(what) ? what.join('\n') : JSON.stringify(what)}\n`)
  return 0
}
