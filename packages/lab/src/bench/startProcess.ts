import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { tellGuard } from './tellGuard.ts'

export const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')

export interface StartProcessOptions {
  args?: readonly string[]
  /** Added to this process's environment. */
  env?: Record<string, string | undefined>
  cwd?: string
  /** Default: Node, with our packages from source. */
  command?: string
  /** The account that runs it. Default: that of this process. */
  account?: { uid: number; gid: number }
  onLine?: (line: string) => void
}

export interface RunningProcess {
  pid: number
  /** Resolves with the next line of output that matches; one that came while nobody waited counts. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  send(line: string): void
  /** Resolves with the exit code, or null when a signal ended it. */
  exited: Promise<number | null>
  lastLines(): readonly string[]
  /** Asks it to end, and kills it when it does not. */
  stop(): Promise<void>
}

const STOP_TIMEOUT_MS = 30_000
const INTERRUPT_TIMEOUT_MS = 10_000
const KEPT_LINES = 30
/** How many lines are kept that nobody has read. */
const MAX_UNREAD = 10_000

const running = new Set<ChildProcess>()

/** Starts a process of its own, so that no code runs in another's event loop. It ends when this process does. */
export function startProcess(entry: string, options: StartProcessOptions = {}): RunningProcess {
  const { args = [], cwd = WORKSPACE_ROOT, env, account, onLine } = options
  const [command, ...before] =
    options.command === undefined
      ? [process.execPath, '--conditions=@roundsman/source', entry]
      : [options.command, entry]
  const child = spawn(command, [...before, ...args], {
    cwd,
    env: { ...process.env, ...env },
    ...account,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  running.add(child)
  if (child.pid !== undefined) tellGuard({ started: child.pid })
  const unread: string[] = []
  const last: string[] = []
  let waiting: { pattern: RegExp; resolve: (match: RegExpExecArray) => void } | undefined
  let failed: ((error: Error) => void) | undefined
  let end: Error | undefined

  const offer = () => {
    while (waiting !== undefined) {
      const line = unread.shift()
      if (line === undefined) return
      const match = waiting.pattern.exec(line)
      if (match === null) continue
      const { resolve } = waiting
      waiting = failed = undefined
      resolve(match)
    }
  }
  const collect = (line: string) => {
    last.push(line)
    if (last.length > KEPT_LINES) last.shift()
    onLine?.(line)
    unread.push(line)
    if (unread.length > MAX_UNREAD) unread.shift()
    offer()
  }
  createInterface({ input: child.stdout }).on('line', collect)
  createInterface({ input: child.stderr }).on('line', collect)
  // The process may have ended before it reads what is written to it.
  child.stdin.on('error', () => undefined)
  const closed = once(child, 'close')
  child.once('close', (code, signal) => {
    running.delete(child)
    if (child.pid !== undefined) tellGuard({ ended: child.pid })
    end = new Error(`${entry} ended (${signal ?? code}). Its last lines:\n${last.join('\n')}`)
    failed?.(end)
  })
  child.once('error', (error) => last.push(error.message))
  closed.catch(() => running.delete(child))

  return {
    pid: child.pid ?? 0,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        waiting = { pattern, resolve }
        failed = reject
        offer()
        if (waiting !== undefined && end !== undefined) reject(end)
      }),
    exited: closed.then(([code]) => code as number | null),
    lastLines: () => last,
    send: (line) => void child.stdin.write(`${line}\n`),
    async stop() {
      if (!running.has(child)) return
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      child.kill('SIGTERM')
      await closed
      clearTimeout(timer)
    },
  }
}

/** Ends whatever still runs. A process with children gets the time to end them. */
export async function stopProcesses(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      const closed = once(child, 'close')
      const timer = setTimeout(() => child.kill('SIGKILL'), INTERRUPT_TIMEOUT_MS)
      child.kill('SIGTERM')
      await closed
      clearTimeout(timer)
    }),
  )
}
