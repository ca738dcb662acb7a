import { collectOutput } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { print } from '../../src/command/print.ts'
import {
  exitCodeOf,
  findNodeProblem,
  ForeseenError,
  UsageError,
  type Command,
} from '../../src/command/runCommand.ts'

it('says that Node is older than the package needs', () => {
  expect(findNodeProblem('20.20.2')).toBe(
    'Roundsman needs Node 22.12.0 or newer, and this is 20.20.2',
  )
  expect(findNodeProblem('22.9.0')).not.toBeNull()
  for (const version of ['22.12.0', '22.100.0', '24.0.0']) {
    expect(findNodeProblem(version)).toBeNull()
  }
})

const HOSTILE = 'a\u202eb\u2066c\u009b2Jd\u001b[8me\rf\u0007\u061c'

it('lets nothing through that steers the terminal or reorders its text, whatever a command prints', async () => {
  const seen: string[] = []
  for (const thrown of [null, new UsageError(HOSTILE), new ForeseenError(HOSTILE)]) {
    const output = collectOutput()
    const command: Command = {
      usage: `Usage: try ${HOSTILE}`,
      async run(_args, terminal) {
        terminal.stderr.write(`${HOSTILE}\n`)
        if (thrown !== null) throw thrown
        return print(terminal, [HOSTILE, '\u001b[31mred\u001b[39m\r'])
      },
    }
    await exitCodeOf(command, [], { variables: {}, ...output })
    await exitCodeOf(command, ['--help'], { variables: {}, ...output })
    seen.push(...Object.values(output.texts()))
  }
  expect(seen.join('')).toContain(String.raw`a\u202eb\u2066c\u009b2Jd\u001b[8me\u000df\u0007\u061c`)
  expect(seen.join('')).toContain('\u001b[31mred\u001b[39m\r\n')
  expect(seen.join('')).not.toMatch(/[\p{Bidi_Control}\p{Cs}]|\p{Cc}\[8m|\p{Cc}2J|\rf/u)
})

it('prints JSON that means the same', async () => {
  const output = collectOutput()
  const command: Command = {
    usage: '',
    run: async (_args, terminal) => print(terminal, { HOSTILE }),
  }
  await exitCodeOf(command, [], { variables: {}, ...output })
  const { stdout } = output.texts()
  expect(stdout).not.toContain('\u202e')
  expect(JSON.parse(stdout)).toEqual({ HOSTILE })
})
