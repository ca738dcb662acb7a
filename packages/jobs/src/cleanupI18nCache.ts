import { defineJob } from '@roundsman/runtime/contract'

export const cleanupI18nCache = defineJob({
  name: 'cleanupI18nCache',
  description: 'Removes cached translations that are older than the configured age.',
  schedule: { cron: '0 3 * * *' },
})
