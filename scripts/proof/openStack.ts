import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { findFreePort } from '@roundsman/local-postgres'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const READY_TIMEOUT_MS = 180_000

export interface Stack {
  baseUrl: string
  workerUrl: string
  /** The environment for commands against this stack. */
  env: NodeJS.ProcessEnv
  dataDir: string
  /** All lines that start, the API and the worker have printed so far. */
  lines: string[]
  /** Stops the stack, removes its data, and resolves to the exit code of start. */
  close(): Promise<number | null>
}

/** Starts a stack as a user does: fresh data, free ports, nothing shared. */
export async function openStack(variables: Record<string, string>): Promise<Stack> {
  const dataDir = await makeDataDir()
  const [port, workerPort] = [await findFreePort(), await findFreePort()]
  const { DATABASE_URL: _, ...inherited } = process.env
  const env = {
    ...inherited,
    // Without the demo's jobs, because the proof counts what runs.
    DEMO_JOBS: 'false',
    ...variables,
    DATA_DIR: dataDir,
    PORT: String(port),
    WORKER_PORT: String(workerPort),
    INBOX_PORT: '0',
    NODE_ENV: 'development',
  }
  const lines: string[] = []
  const child = spawn(process.execPath, ['scripts/start/main.ts'], {
    cwd: WORKSPACE_ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  }
  const stack: Stack = {
    baseUrl: `http://127.0.0.1:${port}`,
    workerUrl: `http://127.0.0.1:${workerPort}`,
    env,
    dataDir,
    lines,
    close: () => close(child, dataDir),
  }
  await untilBox(child, lines)
  return stack
}

async function makeDataDir(): Promise<string> {
  await mkdir(join(WORKSPACE_ROOT, '.data'), { recursive: true })
  const dataDir = await mkdtemp(join(WORKSPACE_ROOT, '.data', 'proof-'))
  // As root, PostgreSQL runs under another account, which has to get in.
  await chmod(dataDir, 0o755)
  return dataDir
}

/** Waits until start has printed its box, which ends with that corner. */
async function untilBox(child: ChildProcess, lines: string[]): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (!lines.some((line) => line.startsWith('╰'))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill()
      throw new Error(`The stack did not start:\n${lines.join('\n')}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function close(child: ChildProcess, dataDir: string): Promise<number | null> {
  if (child.exitCode === null) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  // Where PostgreSQL could not enter this folder, its files are elsewhere and this is a link to them.
  const cluster = await realpath(join(dataDir, 'postgres')).catch(() => dataDir)
  if (dirname(cluster) !== dataDir) await rm(cluster, { recursive: true, force: true })
  await rm(dataDir, { recursive: true, force: true })
  return child.exitCode
}
