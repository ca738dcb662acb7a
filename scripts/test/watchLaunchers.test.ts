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
  const outer = await launch('outer', 'pnpm', 'pnpm')
  const program = await pidOf(outer)
  process.kill(outer.pid, 'SIGKILL')
  await waitFor(async () => (await stillRunning([program])).length === 0)
  expect(outer.stdout).toContain('ended: pnpm')
})

test('does not mind the end of a parent that is no launcher', async () => {
  const outer = await launch('service', 'supervisor', 'supervisor')
  const program = await pidOf(outer)
  process.kill(outer.pid, 'SIGKILL')
  // Each `still here` is one look.
  const seen = count(outer)
  await waitFor(() => count(outer) > seen + 10)
  expect(await stillRunning([program])).toEqual([program])
  process.kill(program, 'SIGKILL')
})

/** Starts a launcher that runs a shell that runs a launcher that runs the watching program. */
async function launch(name: string, first: string, second: string): Promise<SpawnedProcess> {
  const home = join(folder, name)
  await mkdir(home)
  const watching = join(home, 'program.ts')
  await writeFile(
    watching,
    `import { watchLaunchers } from ${JSON.stringify(join(import.meta.dirname, '../start/watchLaunchers.ts'))}
     process.stdout.on('error', () => undefined)
     console.log('pid ' + process.pid)
     watchLaunchers((name) => { console.log('ended: ' + name); process.exit(0) }, { intervalMs: 50 })
     let count = 0
     setInterval(() => { console.log('still here'); if ((count += 1) > 600) process.exit(1) }, 50)`,
  )
  // Without an extension, as the real ones: only the name tells what they are.
  const inner = join(home, second === first ? `inner-${second}` : second)
  await mkdir(inner)
  await writeFile(join(inner, second), run(process.execPath, [watching]))
  const outer = join(home, first)
  await writeFile(
    outer,
    run('/bin/sh', ['-c', '"$0" "$1"; exit', process.execPath, join(inner, second)]),
  )
  return spawnProcess(outer)
}

function run(program: string, args: string[]): string {
  return `require('node:child_process').spawn(${JSON.stringify(program)}, ${JSON.stringify(args)}, { stdio: 'inherit' })`
}

function count({ stdout }: SpawnedProcess): number {
  return stdout.filter((line) => line === 'still here').length
}

async function pidOf(outer: SpawnedProcess): Promise<number> {
  const line = await outer.waitForLine(/^pid \d+/)
  // By then it knows its launchers.
  await outer.waitForLine('still here')
  return Number(line.slice(4))
}
