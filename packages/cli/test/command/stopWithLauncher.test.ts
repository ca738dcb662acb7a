// Processes: kills the shell that has started one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

const FILE = new URL('../../src/command/stopWithLauncher.ts', import.meta.url).href

/** Counts its signals, and ends 1,500 ms after the first, in which a second one would come. */
const PROGRAM = `
import { stopWithLauncher } from '${FILE}'
stopWithLauncher(process.env)
let signals = 0
process.on('SIGTERM', () => {
  signals += 1
  if (signals === 1) setTimeout(() => process.stdout.write(\`\${signals} signal\`, () => process.exit()), 1_500)
})
setTimeout(() => process.exit(), 60_000)
process.stdout.write('started ')
`

/** Starts the program as npm does, by a shell. `ended` resolves to its output. */
async function startByShell() {
  const folder = await mkdtemp(join(tmpdir(), 'roundsman-launcher-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'program.mts'), PROGRAM)
  const shell = spawn('sh', ['-c', '"$NODE" program.mts; true'], {
    cwd: folder,
    env: { ...process.env, NODE: process.execPath, npm_command: 'exec' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  let output = ''
  shell.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(shell.stdout, 'data')
  const ended = once(shell.stdout, 'close').then(() => output)
  return { shell, ended }
}

it('a command stops once the package manager that started it has ended', async () => {
  const { shell, ended } = await startByShell()
  shell.kill('SIGKILL')
  expect(await ended).toBe('started 1 signal')
})

it('a signal to all processes arrives once', async () => {
  const { shell, ended } = await startByShell()
  process.kill(-(shell.pid ?? 0), 'SIGTERM')
  expect(await ended).toBe('started 1 signal')
})
