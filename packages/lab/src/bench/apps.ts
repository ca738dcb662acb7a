import { hashPassword, type Role } from '@roundsman/db'
import { withClient } from './openServer.ts'
import { startProcess, startProgram, type RunningProcess } from '../startProcess.ts'

export interface RunningApi {
  url: string
  pid: number
  /** Adds an account and returns its token. */
  logIn(role: Role): Promise<string>
  stop(): Promise<void>
}

const LISTENING = /http:\/\/127\.0\.0\.1:\d+/
const PASSWORD = 'only for this bench'

/** Variables that the processes must not inherit from the bench's own environment, or that must be the same everywhere. */
const ENVIRONMENT = {
  NODE_ENV: undefined,
  JOBS_ENABLED: undefined,
  JWT_SECRET: 'only for this bench, where nobody else is',
  SMTP_URL: undefined,
  LOG_LEVEL: 'info',
  HOST: '127.0.0.1',
}

/** Starts the API process from source. */
export async function startApi(databaseUrl: string): Promise<RunningApi> {
  const api = startProcess('apps/api/src/server.ts', {
    env: { ...ENVIRONMENT, DATABASE_URL: databaseUrl, PORT: '0' },
  })
  const [url] = await api.line(LISTENING)
  return {
    url,
    pid: api.pid,
    async stop() {
      await api.stop()
    },
    async logIn(role) {
      const email = `${role}@bench.example.com`
      const hash = await hashPassword(PASSWORD)
      await withClient(databaseUrl, (client) =>
        client.query(
          `insert into "User" ("id", "email", "role", "passwordHash")
           values (gen_random_uuid(), $1, $2::"Role", $3)`,
          [email, role, hash],
        ),
      )
      const response = await fetch(`${url}/api/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email, password: PASSWORD }),
      })
      if (!response.ok) throw new Error(`Logging in was answered ${response.status}`)
      return ((await response.json()) as { token: string }).token
    },
  }
}

/** Starts the worker process from its build, as it is deployed. */
export async function startWorker(
  databaseUrl: string,
  env: Readonly<Record<string, string>>,
): Promise<RunningProcess> {
  const worker = startProgram(process.execPath, ['apps/worker/dist/main.js'], {
    env: { ...ENVIRONMENT, DATABASE_URL: databaseUrl, WORKER_PORT: '0', ...env },
  })
  await worker.line(/Jobs scheduler enabled/)
  return worker
}
