import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findFreePort } from '@roundsman/local-postgres'
import { makeEnvironment, makeServerFolder, spawnProcess } from '@roundsman/testing'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const READY_TIMEOUT_MS = 180_000

export interface Stack {
  baseUrl: string
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
  const folder = await makeServerFolder('roundsman-proof-')
  const dataDir = join(folder, 'data')
  const port = await findFreePort()
  const settings = {
    DATABASE_URL: undefined,
    // Without the demo's jobs, because the proof counts what runs.
    DEMO_JOBS: 'false',
    ...variables,
    DATA_DIR: dataDir,
    PORT: String(port),
    WORKER_PORT: String(await findFreePort()),
    INBOX_PORT: '0',
    NODE_ENV: 'development',
  }
  const start = spawnProcess(join(WORKSPACE_ROOT, 'scripts/start/main.ts'), {
    cwd: WORKSPACE_ROOT,
    env: settings,
  })
  const close = async () => {
    const { code } = await start.kill()
    await rm(folder, { recursive: true, force: true })
    return code
  }
  try {
    await start.waitForLine(/^╰/, { timeoutMs: READY_TIMEOUT_MS })
  } catch (error) {
    await close()
    throw error
  }
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    env: makeEnvironment(settings),
    dataDir,
    lines: start.stdout,
    close,
  }
}
