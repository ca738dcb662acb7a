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

/** A line that the driver writes to a worker's standard input. */
export interface WorkerCommand {
  clockOffsetMs?: number
  sweepPauseMs?: number
}

/** A line that a worker writes to its standard output, beside its log. */
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
  /** Null until the process has told it. */
  id(): string | null
  /** Resolves to true when it has started, and to false when it ended before. */
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
  /** The file to run: OWN_ENTRY, or that of another version. */
  entry: string
  /** Where its connections lead: to the server, or to a pooler in front of it. */
  targetPort: number
  /** A command that runs it elsewhere, from where `databaseUrl` reaches the server past its proxy. Default: here. */
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
    // Without it V8 optimizes Prisma's WebAssembly for a second, which a worker that is soon killed never earns back.
    '--liftoff-only',
    entry,
    JSON.stringify(settings),
  ]
  const child = spawn(program, args, {
    // A run starts hundreds of them, and each would compile the same files again.
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
  // The process may have ended before it reads what is written to it.
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

/** Reads what the worker reports about itself; null for its other lines, which are its log. */
function parseReport(line: string): WorkerReport | null {
  if (!line.startsWith('{"workerId"') && !line.startsWith('{"isReady"')) return null
  return JSON.parse(line) as WorkerReport
}
