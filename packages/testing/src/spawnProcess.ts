import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'

export interface SpawnProcessOptions {
  args?: string[]
  /** Added to the tests' environment. Undefined removes a variable. */
  env?: Record<string, string | undefined>
  cwd?: string
  /** Our packages that it loads are built, and have no sources beside them. Default false. */
  isBuilt?: boolean
  /** Holds its standard input open, as a supervisor does. Default: it has ended. */
  hasInput?: boolean
  /** For tests that run as root and need another user. */
  uid?: number
  gid?: number
}

export interface ProcessExit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface SpawnedProcess {
  pid: number
  stdin: Writable
  /** All lines so far. */
  stdout: string[]
  stderr: string[]
  /** Resolves when the process has ended and its output is complete. */
  exited: Promise<ProcessExit>
  /**
   * Resolves with the first line of stdout or stderr that matches, past or to come. Rejects if the process ends without
   * one.
   */
  waitForLine(pattern: RegExp | string, options?: { timeoutMs?: number }): Promise<string>
  /** Sends a signal (default SIGTERM) and waits for the process to end. */
  kill(signal?: NodeJS.Signals): Promise<ProcessExit>
}

/** Without it V8 optimizes Prisma's WebAssembly for a second, which a short process never earns back. */
const NODE_ARGUMENTS = ['--liftoff-only']
const FROM_SOURCE = '--conditions=@roundsman/source'

const running = new Set<SpawnedProcess>()

/** Called by the setup after each test file, since one load of this module serves many of them. */
export async function killRunning(): Promise<void> {
  await Promise.all([...running].map((child) => child.kill('SIGKILL')))
}

/**
 * Runs a TypeScript file in a process of its own, from source, for tests that kill things. A process that still runs at the
 * end of the test file is killed.
 */
export function spawnProcess(file: string, options: SpawnProcessOptions = {}): SpawnedProcess {
  const { args = [], cwd, uid, gid, hasInput = false, isBuilt = false } = options
  const node = isBuilt ? NODE_ARGUMENTS : [...NODE_ARGUMENTS, FROM_SOURCE]
  const child = spawn(process.execPath, [...node, file, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    env: makeEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // The process may end before it has read what is written to it.
  child.stdin.on('error', () => undefined)
  if (!hasInput) child.stdin.end()
  const stdout: string[] = []
  const stderr: string[] = []
  const listeners = new Set<(line?: string) => void>()
  const collect = (lines: string[]) => (line: string) => {
    lines.push(line)
    for (const listener of listeners) listener(line)
  }
  createInterface({ input: child.stdout }).on('line', collect(stdout))
  createInterface({ input: child.stderr }).on('line', collect(stderr))
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('error', (error) => {
      stderr.push(String(error))
      resolve({ code: null, signal: null })
    })
    child.once('close', (code, signal) => resolve({ code, signal }))
  })

  const spawned: SpawnedProcess = {
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout,
    stderr,
    exited,
    waitForLine,
    kill: (signal = 'SIGTERM') => {
      child.kill(signal)
      return exited
    },
  }
  running.add(spawned)
  void exited.then(() => {
    running.delete(spawned)
    for (const listener of listeners) listener()
  })
  return spawned

  function waitForLine(
    pattern: RegExp | string,
    { timeoutMs = 45_000 }: { timeoutMs?: number } = {},
  ): Promise<string> {
    const matches = (line: string) =>
      typeof pattern === 'string' ? line.includes(pattern) : new RegExp(pattern).test(line)
    const seen = [...stdout, ...stderr].find(matches)
    if (seen !== undefined) return Promise.resolve(seen)
    return new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        settle()
        const output = [...stdout, ...stderr].slice(-40).join('\n')
        reject(
          new Error(`${file} ${reason} without a line like ${pattern}. Its output:\n${output}`),
        )
      }
      const listener = (line?: string) => {
        if (line === undefined) return fail('ended')
        if (!matches(line)) return
        settle()
        resolve(line)
      }
      const timer = setTimeout(() => fail(`ran for ${timeoutMs} ms`), timeoutMs)
      const settle = () => {
        clearTimeout(timer)
        listeners.delete(listener)
      }
      listeners.add(listener)
      if (!running.has(spawned)) fail('ended')
    })
  }
}

/** The tests' environment with `extra` added. Undefined removes a variable. */
export function makeEnvironment(extra: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, ...extra }
  for (const name of Object.keys(environment)) {
    // The test runner's own variables must not change how the product behaves.
    if (environment[name] === undefined || name.startsWith('VITEST')) delete environment[name]
  }
  return environment
}
