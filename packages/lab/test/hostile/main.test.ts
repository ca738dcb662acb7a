// Processes: starts pnpm hostile, whose parts must at least begin.
import { spawnProcess } from '@roundsman/testing'
import { expect, it } from 'vitest'

const MAIN = new URL('../../src/hostile/main.ts', import.meta.url).pathname

it.each([
  { args: ['--help'], code: 0, says: 'Usage: pnpm hostile' },
  { args: ['--only', 'locks', '--locks', '0'], code: 2, says: 'a whole number from 1' },
  { args: ['--only', 'nothing'], code: 2, says: 'and not nothing' },
])('pnpm hostile $args starts, and ends with $code', async ({ args, code, says }) => {
  const program = spawnProcess(MAIN, { args })
  expect((await program.exited).code, program.stderr.join('\n')).toBe(code)
  expect([...program.stdout, ...program.stderr].join('\n')).toContain(says)
})
