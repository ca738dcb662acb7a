import { collectOutput, makeEnvironment } from '@roundsman/testing'
import { exitCodeOf, type Command, type Terminal } from 'roundsman/commands'

/** Runs a command without a process of its own, and returns what it writes and its exit code. */
export async function runInProcess<More extends object>(
  command: Command<Terminal & More>,
  args: string[],
  variables: Record<string, string | undefined>,
  more: More,
) {
  const { stdout, stderr, lines } = collectOutput()
  const terminal = { variables: makeEnvironment(variables), stdout, stderr, ...more }
  const code = await exitCodeOf(command, args, terminal)
  return { code, ...lines() }
}
