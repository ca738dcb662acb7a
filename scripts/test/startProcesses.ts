import { join } from 'node:path'
import { spawnProcess, type SpawnedProcess } from '@roundsman/testing'
import { WORKSPACE_ROOT } from './stack.ts'

type Variables = Record<string, string | undefined>

/** A schedule that is not due before these tests are over. */
const NEVER = '0 0 1 1 *'

/** Starts the API as a process of its own, and resolves once it listens. */
export async function startApi(
  databaseUrl: string,
  extra: Variables = {},
): Promise<{ api: SpawnedProcess; url: string }> {
  const env = environment(databaseUrl, extra)
  const api = spawnProcess(join(WORKSPACE_ROOT, 'apps/api/src/server.ts'), { env })
  const line = await api.waitForLine('"msg":"API listening at ')
  return { api, url: /http:\/\/[\d.]+:\d+/.exec(line)?.[0] ?? '' }
}

/** Starts the worker as a process of its own; with JOBS_ENABLED=false it does nothing. */
export async function startWorker(
  databaseUrl: string,
  extra: Variables = {},
): Promise<SpawnedProcess> {
  const env = environment(databaseUrl, extra)
  const worker = spawnProcess(join(WORKSPACE_ROOT, 'apps/worker/src/main.ts'), { env })
  await worker.waitForLine(/Jobs scheduler (enabled|disabled)/)
  return worker
}

function environment(databaseUrl: string, extra: Variables): Variables {
  return {
    NODE_ENV: undefined,
    HOST: undefined,
    LOG_LEVEL: undefined,
    JOBS_ENABLED: undefined,
    ROUNDSMAN_SUPERVISED: undefined,
    OTEL_EXPORTER_OTLP_ENDPOINT: undefined,
    OTEL_SERVICE_NAME: undefined,
    PORT: '0',
    WORKER_PORT: '0',
    DATABASE_URL: databaseUrl,
    JWT_SECRET: 'a secret for tests, of thirty-two or more characters',
    CLEANUP_PREVIEW_SESSIONS_CRON: NEVER,
    CLEANUP_I18N_CACHE_CRON: NEVER,
    PRUNE_JOB_RUNS_CRON: NEVER,
    ...extra,
  }
}
