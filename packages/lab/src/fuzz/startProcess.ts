import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort } from '@roundsman/local-postgres'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 20_000

export interface ProcessUnderTest {
  baseUrl: string
  /** The lines that it wrote since it started, without those of level info and below. */
  lines: LogLine[]
  /** Undefined where the system does not tell. */
  residentBytes(): number | undefined
  hasExited(): boolean
  /** Resolves to its exit code, or null when it had to be killed. */
  stop(): Promise<number | null>
}

export interface LogLine {
  /** pino's level: 50 and more are errors. A line that is no log line counts as one. */
  level: number
  text: string
}

/** Runs an entry from source in a process of its own, on a free port, and waits until it is ready. */
export async function startProcess(options: {
  entry: string
  portVariable: 'PORT' | 'WORKER_PORT'
  env: Record<string, string>
  signal: AbortSignal
}): Promise<ProcessUnderTest> {
  const port = await findFreePort()
  const { DATABASE_URL: _, SMTP_URL: __, ...inherited } = process.env
  // Optimizing Prisma's WebAssembly would take more processor time than all queries of a short run.
  const args = ['--conditions=@roundsman/source', '--liftoff-only', options.entry]
  const child = spawn(process.execPath, args, {
    cwd: WORKSPACE_ROOT,
    env: {
      ...inherited,
      ...options.env,
      [options.portVariable]: String(port),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'development',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: LogLine[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(readLine(line)))
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (code) => resolve(code))
  })
  const hasExited = () => child.exitCode !== null || child.signalCode !== null
  const stop = async () => {
    if (!hasExited()) child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    const code = await exited
    clearTimeout(timer)
    return code
  }
  const baseUrl = `http://127.0.0.1:${port}`
  try {
    await untilReady(`${baseUrl}/health/ready`, { hasExited, signal: options.signal })
  } catch (error) {
    await stop()
    const output = lines.map(({ text }) => text).join('\n')
    throw new Error(`${options.entry} did not start: ${(error as Error).message}\n${output}`, {
      cause: error,
    })
  }
  return { baseUrl, lines, hasExited, stop, residentBytes: () => readResidentBytes(child.pid) }
}

async function untilReady(
  url: string,
  { hasExited, signal }: { hasExited: () => boolean; signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    signal.throwIfAborted()
    if (hasExited()) throw new Error('it has ended')
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
    if (performance.now() > deadline) throw new Error(`not ready after ${START_TIMEOUT_MS} ms`)
    await pause(50)
  }
}

function readLine(text: string): LogLine {
  try {
    const { level } = JSON.parse(text) as { level?: unknown }
    if (typeof level === 'number') return { level, text }
  } catch {
    // A process that logs writes other lines only when it breaks.
  }
  return { level: 60, text }
}

function readResidentBytes(pid: number | undefined): number | undefined {
  try {
    const [, kilobytes] =
      /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024
  } catch {
    return undefined
  }
}
