import { Writable } from 'node:stream'
import { makeEnvironment } from '@roundsman/testing'
import { exitCodeOf, type Command, type Terminal } from 'roundsman/commands'

/** A command as far as its process does not matter: what it would write and exit with. */
export async function runInProcess<More extends object>(
  command: Command<Terminal & More>,
  args: string[],
  variables: Record<string, string | undefined>,
  more: More,
) {
  const [stdout, stderr] = [collect(), collect()]
  const terminal = {
    variables: makeEnvironment(variables),
    stdout: stdout.stream,
    stderr: stderr.stream,
    ...more,
  }
  const code = await exitCodeOf(command, args, terminal)
  return { code, stdout: stdout.lines(), stderr: stderr.lines() }
}

function collect() {
  let text = ''
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _, done) {
      text += chunk
      done()
    },
  })
  return { stream, lines: () => text.split('\n').slice(0, -1) }
}
