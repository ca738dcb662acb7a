// Processes: kills launchers.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stillRunning } from './processes.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roundsman-launchers-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

test('ends when the launcher above the shell is killed, though its own parent lives', async () => {
  // pnpm runs a shell, which runs another pnpm, which runs the program: `npx pnpm` in short.
  const { outer, program } = await launchAndKill('outer', 'pnpm', 'pnpm')
  expect(await outer.waitForLine('ended:')).toBe('ended: pnpm')
  await waitFor(async () => (await stillRunning([program])).length === 0)
})

test('does not mind the end of a parent that is no launcher', async () => {
  const { outer, program } = await launchAndKill('service', 'supervisor', 'supervisor')
  // Each `still here` is one look.
  await waitFor(() => outer.stdout.filter((line) => line === 'still here').length > 10)
  expect(await stillRunning([program])).toEqual([program])
  process.kill(program, 'SIGKILL')
})

/**
 * Starts a launcher that runs a shell that runs a launcher that runs the watching program, and kills the first of them
 * before the program, which watches by then, has done anything else.
 */
async function launchAndKill(
  name: string,
  first: string,
  second: string,
): Promise<{ outer: SpawnedProcess; program: number }> {
  const home = join(folder, name)
  await mkdir(home)
  const watching = join(home, 'program.ts')
  const killed = join(home, 'killed')
  await writeFile(
    watching,
    `import { existsSync } from 'node:fs'
     import { watchLaunchers } from ${JSON.stringify(join(import.meta.dirname, '../start/watchLaunchers.ts'))}
     process.stdout.on('error', () => undefined)
     watchLaunchers((name) => { console.log('ended: ' + name); process.exit(0) }, { intervalMs: 50 })
     console.log('pid ' + process.pid)
     while (!existsSync(${JSON.stringify(killed)})) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
     let count = 0
     setInterval(() => { console.log('still here'); if ((count += 1) > 600) process.exit(1) }, 50)`,
  )
  // Without an extension, as the real ones: only the name tells what they are.
  const inner = join(home, second === first ? `inner-${second}` : second)
  await mkdir(inner)
  await writeFile(join(inner, second), run(process.execPath, [watching]))
  await writeFile(
    join(home, first),
    run('/bin/sh', ['-c', '"$0" "$1"; exit', process.execPath, join(inner, second)]),
  )
  const outer = spawnProcess(join(home, first))
  const program = Number((await outer.waitForLine(/^pid \d+/)).slice(4))
  process.kill(outer.pid, 'SIGKILL')
  await writeFile(killed, '')
  return { outer, program }
}

function run(program: string, args: string[]): string {
  return `require('node:child_process').spawn(${JSON.stringify(program)}, ${JSON.stringify(args)}, { stdio: 'inherit' })`
}
