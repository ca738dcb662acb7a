import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface WorkerSettings {
  databaseUrl: string
  seed: number
}

/** A line that a worker writes to its standard output, beside its log. */
export interface WorkerReport {
  workerId?: string
  isReady?: true
  beatAt?: number
  lag?: Lag
  held?: Held
}

/** When the event loop stood still, and for how long beyond what drawn outcomes blocked and what the machine withheld. */
export interface Lag {
  from: number
  to: number
  beyondMs: number
}

/** What the process holds after a garbage collection. */
export interface Held {
  bytes: number
  listeners: number
  resources: number
}

export interface WorkerExit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface WorkerHandle {
  pid: number
  exited: Promise<WorkerExit>
  signal(signal: NodeJS.Signals): void
}

export interface StartWorkerOptions {
  settings: WorkerSettings
  env: Readonly<Record<string, string>>
  onReport: (report: WorkerReport) => void
  onLog: (line: string) => void
}

const ENTRY = join(import.meta.dirname, 'workerProcess.ts')
const COMPILE_CACHE = join(import.meta.dirname, '../../../../node_modules/.cache/compile')
/** Small enough to be full soon, and enough for large values. */
const HEAP_MB = 400

export function startWorker({ settings, env, onReport, onLog }: StartWorkerOptions): WorkerHandle {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@roundsman/source',
      '--liftoff-only',
      '--expose-gc',
      `--max-old-space-size=${HEAP_MB}`,
      ENTRY,
      JSON.stringify(settings),
    ],
    {
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{"hostile":')) {
      onReport((JSON.parse(line) as { hostile: WorkerReport }).hostile)
    } else {
      onLog(line)
    }
  })
  createInterface({ input: child.stderr }).on('line', onLog)
  child.stdin.on('error', () => undefined)
  const exited = new Promise<WorkerExit>((resolve) => {
    child.once('error', (error) => onLog(String(error)))
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return {
    pid: child.pid ?? 0,
    exited,
    signal: (signal) => void child.kill(signal),
  }
}
