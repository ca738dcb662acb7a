import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createProxy, type Proxy } from '@roundsman/testing'
import type { Server } from './openServer.ts'

export interface WorkerSettings {
  databaseUrl: string
  seed: number
  sweepBatch: number
  sweepPauseMs: number
  drainTimeoutMs: number
}

/** What the driver writes to a worker's standard input, one in a line. */
export interface WorkerCommand {
  clockOffsetMs?: number
  sweepPauseMs?: number
}

/** What a worker writes to its standard output beside its log. */
export interface WorkerReport {
  workerId?: string
  isReady?: true
}

export interface WorkerExit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A worker process with a network of its own. */
export interface WorkerHandle {
  pid: number
  /** Null until the process has told. */
  id(): string | null
  /** True once it has started, false when it ended before it had. */
  ready: Promise<boolean>
  isReady(): boolean
  exited: Promise<WorkerExit>
  hasExited(): boolean
  proxy: Proxy
  send(command: WorkerCommand): void
  signal(signal: NodeJS.Signals): void
}

/** The worker process of this version. */
export const OWN_ENTRY = join(import.meta.dirname, 'workerProcess.ts')
const COMPILE_CACHE = join(import.meta.dirname, '../../../../node_modules/.cache/compile')

export async function startWorker(options: {
  server: Server
  database: string
  /** What is run: OWN_ENTRY, or that of another version. */
  entry: string
  /** Where its connections lead: to the server, or to a pooler before it. */
  targetPort: number
  /** A command that runs it elsewhere, and how that place reaches the server: past its proxy. Default: here. */
  within?: readonly string[]
  databaseUrl?: string
  settings: Omit<WorkerSettings, 'databaseUrl'>
  onLog: (line: string) => void
}): Promise<WorkerHandle> {
  const { server, database, entry, targetPort, within = [], onLog } = options
  const proxy = await createProxy(targetPort)
  const settings: WorkerSettings = {
    ...options.settings,
    databaseUrl: options.databaseUrl ?? server.url(database, proxy.port),
  }
  const [program, ...args] = [
    ...within,
    process.execPath,
    '--conditions=@roundsman/source',
    // Of Prisma's WebAssembly, more is optimized in the first second than a worker that is soon killed takes out of it.
    '--liftoff-only',
    entry,
    JSON.stringify(settings),
  ]
  const child = spawn(program, args, {
    // Hundreds are started in a run, and each would compile the same files again.
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let id: string | null = null
  let isReady = false
  let hasExited = false
  const exited = new Promise<WorkerExit>((resolve) => {
    child.once('error', (error) => onLog(String(error)))
    child.once('close', (code, signal) => {
      hasExited = true
      resolve({ code, signal })
    })
  })
  const ready = new Promise<boolean>((resolve) => {
    void exited.then(() => resolve(false))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const report = parseReport(line)
      if (report === null) onLog(line)
      id = report?.workerId ?? id
      if (report?.isReady) resolve((isReady = true))
    })
  })
  createInterface({ input: child.stderr }).on('line', onLog)
  // The process may be gone by the time something is written to it.
  child.stdin.on('error', () => undefined)

  return {
    pid: child.pid ?? 0,
    id: () => id,
    ready,
    isReady: () => isReady,
    exited,
    hasExited: () => hasExited,
    proxy,
    send: (command) => void child.stdin.write(`${JSON.stringify(command)}\n`),
    signal: (signal) => void child.kill(signal),
  }
}

function parseReport(line: string): WorkerReport | null {
  if (!line.startsWith('{"workerId"') && !line.startsWith('{"isReady"')) return null
  return JSON.parse(line) as WorkerReport
}
