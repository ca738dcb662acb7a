// Processes: kills what is supervised.
import { EventEmitter } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { superviseProcesses, type Supervisor } from '../start/superviseProcesses.ts'
import { stillRunning } from './processes.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roundsman-supervise-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

test('asks each process to end once, and waits for it', async () => {
  const { supervisor, output, pids } = await supervise({
    api: `process.on('SIGTERM', () => { say('asked'); setTimeout(() => process.exit(0), 200) }); say('listens'); wait()`,
    worker: `process.on('SIGTERM', () => { say('asked'); setTimeout(() => process.exit(0), 600) }); say('listens'); wait()`,
  })
  for (const name of ['api', 'worker']) {
    await waitFor(() => supervisor.lastLines(name).includes('listens'))
  }
  supervisor.print()
  await supervisor.stop()
  expect(await stillRunning(pids)).toEqual([])
  expect(output().match(/\[api\] asked/g)).toHaveLength(1)
  expect(output().match(/\[worker\] asked/g)).toHaveLength(1)
})

test('when one ends, the others are stopped, and it is known which and how', async () => {
  const { supervisor, pids } = await supervise({
    api: `wait()`,
    worker: `process.stdin.once('data', () => process.exit(7))`,
  })
  supervisor.release()
  expect(await supervisor.firstEnd).toEqual({ name: 'worker', exitCode: 7 })
  await supervisor.ended
  expect(await stillRunning(pids)).toEqual([])
})

test('kills what does not end in time, with what it started', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { supervisor, pids, output } = await supervise(
    {
      api: `process.on('SIGTERM', () => say('no')); require('node:child_process').spawn(process.execPath, ['-e', 'console.log("child " + process.pid); setInterval(() => {}, 1000)'], { stdio: 'inherit' }); wait()`,
      worker: `wait()`,
    },
    { drainTimeoutMs: 1_000 },
  )
  supervisor.print()
  const child = await waitFor(() => Number(/child (\d+)/.exec(output())?.[1]))
  const stopping = supervisor.stop()
  await waitFor(() => output().includes('[api] no'))
  vi.advanceTimersByTime(5_999)
  expect(await stillRunning([...pids, child])).toContain(child)
  vi.advanceTimersByTime(1)
  await stopping
  await waitFor(async () => (await stillRunning([...pids, child])).length === 0)
})

test('the standard input of the processes stays open as long as this process lives', async () => {
  const script = join(folder, 'supervisor.ts')
  const module = join(import.meta.dirname, '../start/superviseProcesses.ts')
  const note = join(folder, 'note')
  const program = await writeProgram(
    `const fs = require('node:fs'); fs.appendFileSync(${JSON.stringify(note)}, process.pid + ' began\\n');
     process.stdin.on('end', () => { fs.appendFileSync(${JSON.stringify(note)}, 'ended\\n'); process.exit(0) }).resume()`,
  )
  await writeFile(
    script,
    `import { superviseProcesses } from ${JSON.stringify(module)}
     superviseProcesses({ processes: [{ name: 'api', args: [${JSON.stringify(program)}], env: process.env }], cwd: '.', drainTimeoutMs: 0, output: process.stdout })`,
  )
  const { spawnProcess } = await import('@roundsman/testing')
  const supervising = spawnProcess(script)
  const read = () => readFile(note, 'utf8')
  await waitFor(async () => (await read()).includes('began'))
  const pid = Number.parseInt(await read(), 10)
  expect(await stillRunning([pid])).toEqual([pid])
  await supervising.kill('SIGKILL')
  await waitFor(async () => (await read()).includes('ended'))
  await waitFor(async () => (await stillRunning([pid])).length === 0)
})

test('keeps lines back until it may print, whole ones, and the last ones for a report', async () => {
  const { supervisor, output } = await supervise({
    api: `process.stdout.write('half '); setTimeout(() => { process.stdout.write('whole\\n'); for (let i = 0; i < 30; i++) console.log('line ' + i); say('done'); wait() }, 150)`,
    worker: `setTimeout(() => say('between'), 50); wait()`,
  })
  await waitFor(() => supervisor.lastLines('api').includes('done'))
  await waitFor(() => supervisor.lastLines('worker').includes('between'))
  expect(output()).toBe('')
  expect(supervisor.lastLines('api')).toHaveLength(20)
  expect(supervisor.lastLines('api').at(-2)).toBe('line 29')
  supervisor.print()
  expect(output()).toContain('[api] half whole\n')
  expect(output()).toContain('[worker] between\n')
  await supervisor.stop()
})

test('what is held back begins when it is told to, and has not begun when it is asked to end', async () => {
  const source = join(import.meta.dirname, '../../packages/node-app/src/listenForStop.ts')
  const held = `
    import(${JSON.stringify(source)}).then(
      async ({ listenForStop, awaitRelease }) => {
        const stop = listenForStop({ isSupervised: true })
        setTimeout(() => say('has waited'), 50)
        const mayBegin = await awaitRelease({ isHeld: true, stop })
        say(mayBegin ? 'begins' : 'stops')
        if (!mayBegin) process.exit(0)
        stop.addEventListener('abort', () => process.exit(0))
      },
    )`
  for (const isTold of [true, false]) {
    const { supervisor, pids } = await supervise({ api: held, worker: held })
    const lines = () => ['api', 'worker'].map((name) => supervisor.lastLines(name).slice(1))
    await waitFor(() => lines().every((those) => those.length > 0))
    expect(lines()).toEqual([['has waited'], ['has waited']])
    if (isTold) {
      supervisor.release()
      await waitFor(() => lines().every((those) => those.includes('begins')))
    }
    await supervisor.stop()
    expect(lines().flat().includes('stops')).toBe(!isTold)
    expect(await stillRunning(pids)).toEqual([])
  }
})

interface Supervised {
  supervisor: Supervisor
  pids: number[]
  output: () => string
}

/** Runs programs that may call `say(text)` and `wait()`, and waits until they have started. */
async function supervise(
  programs: { api: string; worker: string },
  options: { drainTimeoutMs?: number } = {},
): Promise<Supervised> {
  let written = ''
  const output = Object.assign(new EventEmitter(), {
    isTTY: false,
    write: (text: string) => {
      written += text
      return true
    },
  })
  const begun: number[] = []
  const processes = await Promise.all(
    Object.entries(programs).map(async ([name, text]) => ({
      name,
      args: [
        await writeProgram(
          `const say = (text) => process.stdout.write(text + '\\n'); const wait = () => setInterval(() => {}, 1000); say('pid ' + process.pid);\n${text}`,
        ),
      ],
      env: process.env,
    })),
  )
  const supervisor = superviseProcesses({
    processes,
    cwd: folder,
    drainTimeoutMs: options.drainTimeoutMs ?? 5_000,
    output: output as unknown as NodeJS.WriteStream,
    formatLine: (line) => {
      if (line.startsWith('pid ')) begun.push(Number(line.slice(4)))
      return line
    },
  })
  await waitFor(() => begun.length === 2)
  return { supervisor, pids: begun, output: () => written }
}

let programs = 0

async function writeProgram(text: string): Promise<string> {
  programs += 1
  const file = join(folder, `program ${programs}.cjs`)
  await writeFile(file, text)
  return file
}
