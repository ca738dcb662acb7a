import type { Terminal } from './runCommand.ts'

/** Prints lines, or an object as JSON on one line. Returns the exit code, success by default. */
export function print(
  { stdout }: Terminal,
  what: readonly string[] | object | null,
  code = 0,
): number {
  stdout.write(`${Array.isArray(what) ? what.join('\n') : JSON.stringify(what)}\n`)
  return code
}
