import { jobVariable } from './jobVariable.ts'

/** The variable that overrides a job's schedule: CLEANUP_I18N_CACHE_CRON for cleanupI18nCache. */
export function cronVariable(jobName: string): string {
  return jobVariable(jobName, 'CRON')
}
