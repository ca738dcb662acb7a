import { collectOutput, makeEnvironment } from '@roundsman/testing'
import { exitCodeOf, type Command, type Terminal } from 'roundsman/commands'

/** A command as far as its process does not matter: what it would write and exit with. */
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
