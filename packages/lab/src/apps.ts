import { startProcess, type ProcessOptions, type RunningProcess } from './startProcess.ts'

export interface RunningApi extends RunningProcess {
  url: string
}

/** Variables that the processes must not inherit from ours, or that must be the same everywhere. */
const ENVIRONMENT = {
  NODE_ENV: undefined,
  JOBS_ENABLED: undefined,
  JWT_SECRET: 'only for this process, where nobody else is',
  SMTP_URL: undefined,
  LOG_LEVEL: 'info',
  HOST: '127.0.0.1',
}

/** Starts the API from source, on a port of its own. */
export async function startApi(
  databaseUrl: string,
  { env, ...options }: ProcessOptions = {},
): Promise<RunningApi> {
  const api = startProcess('apps/api/src/server.ts', {
    ...options,
    env: { ...ENVIRONMENT, DATABASE_URL: databaseUrl, PORT: '0', ...env },
  })
  const [url] = await api.line(/http:\/\/127\.0\.0\.1:\d+/)
  return { ...api, url }
}

/** Starts the worker from source. */
export async function startWorker(
  databaseUrl: string,
  { env, ...options }: ProcessOptions = {},
): Promise<RunningProcess> {
  const worker = startProcess('apps/worker/src/main.ts', {
    ...options,
    env: { ...ENVIRONMENT, DATABASE_URL: databaseUrl, WORKER_PORT: '0', ...env },
  })
  await worker.line(/Jobs scheduler enabled/)
  return worker
}
