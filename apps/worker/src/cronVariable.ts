/** The name of the variable that overrides a job's schedule: CLEANUP_I18N_CACHE_CRON for cleanupI18nCache. */
export function cronVariable(jobName: string): string {
  return jobVariable(jobName, 'CRON')
}

/** The name of a variable about one job: CLEANUP_I18N_CACHE_CRON for cleanupI18nCache and CRON. */
export function jobVariable(jobName: string, what: string): string {
  const separated = jobName.replaceAll(/[A-Z]+(?![a-z])|[A-Z]/g, (capitals) => `_${capitals}`)
  return `${separated.toUpperCase()}_${what}`
}
