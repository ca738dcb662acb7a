import { setTimeout as pause } from 'node:timers/promises'
import { findFreePort } from '@roundsman/local-postgres'
import { readProcess } from '../readProcess.ts'
import { readLogLine } from '../createFleet.ts'
import { startProcess, type RunningProcess } from '../startProcess.ts'

const START_TIMEOUT_MS = 60_000

export interface AppUnderTest extends RunningProcess {
  baseUrl: string
  /** What it wrote since it started, without level info and below. A line that is no log line counts as an error. */
  lines: { level: number; msg: string; text: string }[]
  /** Undefined where the system does not tell. */
  residentMb(): Promise<number | undefined>
}

/** Runs an app from source in a process of its own, on a free port, and waits until it is ready. */
export async function startApp(options: {
  entry: string
  portVariable: 'PORT' | 'WORKER_PORT'
  env: Record<string, string>
  signal: AbortSignal
}): Promise<AppUnderTest> {
  const { entry, portVariable, signal } = options
  const port = await findFreePort()
  const lines: AppUnderTest['lines'] = []
  const app = startProcess(entry, {
    isShortLived: true,
    env: {
      DATABASE_URL: undefined,
      SMTP_URL: undefined,
      ...options.env,
      [portVariable]: String(port),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'warn',
      NODE_ENV: 'development',
    },
    onLine(text) {
      const { level, msg } = readLogLine(text) ?? { level: 60, msg: '' }
      lines.push({ level, msg, text })
    },
  })
  const baseUrl = `http://127.0.0.1:${port}`
  try {
    await untilReady(`${baseUrl}/health/ready`, app, signal)
  } catch (cause) {
    await app.stop()
    const output = lines.map(({ text }) => text).join('\n')
    throw new Error(`${entry} did not start: ${(cause as Error).message}\n${output}`, { cause })
  }
  const residentMb = async () => (await readProcess(app.pid))?.residentMb
  return { ...app, baseUrl, lines, residentMb }
}

async function untilReady(url: string, app: RunningProcess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    signal.throwIfAborted()
    if (app.hasExited()) throw new Error('it has ended')
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
    if (performance.now() > deadline) throw new Error(`not ready after ${START_TIMEOUT_MS} ms`)
    await pause(50)
  }
}
