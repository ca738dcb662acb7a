import type { jobs } from '@roundsman/jobs'
import type { HandlersFor } from '@roundsman/runtime/contract'
import type { WorkerEnvironment } from '../env.ts'
import { cleanupI18nCache } from './cleanupI18nCache.ts'
import { cleanupPreviewSessions } from './cleanupPreviewSessions.ts'
import { pruneJobRuns } from './pruneJobRuns.ts'
import type { Transaction } from './handler.ts'

/** A handler for every job of the catalogue: one that is missing is a type error here. */
export function createHandlers(
  env: Pick<
    WorkerEnvironment,
    'I18N_CACHE_MAX_AGE_DAYS' | 'JOB_RUN_RETENTION_DAYS' | 'JOB_RUN_FAILED_RETENTION_DAYS'
  >,
): HandlersFor<typeof jobs, Transaction> {
  return {
    cleanupPreviewSessions,
    cleanupI18nCache: cleanupI18nCache({ maxAgeDays: env.I18N_CACHE_MAX_AGE_DAYS }),
    pruneJobRuns: pruneJobRuns({
      days: env.JOB_RUN_RETENTION_DAYS,
      failedDays: env.JOB_RUN_FAILED_RETENTION_DAYS,
    }),
  }
}
