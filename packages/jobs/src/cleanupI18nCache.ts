import { defineJob } from '@roundsman/engine'

export const cleanupI18nCache = defineJob({
  name: 'cleanupI18nCache',
  description: 'Removes cached translations that are older than the configured age.',
  schedule: { cron: '0 3 * * *' },
  isDestructive: true,
  dryRun: true,
  // Entries are kept for 30 days, so that a day's worth is due each night, and half of them after a fortnight without a
  // worker. When nearly all of a large table is due, the age or a clock is wrong.
  guard: { maxShare: 0.9, minRows: 10_000 },
})
