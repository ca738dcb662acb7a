import { defineJob } from '@roundsman/engine'

export const cleanupI18nCache = defineJob({
  name: 'cleanupI18nCache',
  description: 'Removes cached translations that are older than the configured age.',
  schedule: { cron: '0 3 * * *' },
  isDestructive: true,
  // Of entries that are kept for 30 days a day's worth is due each time, and half of them after a fortnight
  // without a worker. Nearly all of very many at once is a wrong age or a wrong clock.
  guard: { maxShare: 0.9, minRows: 10_000 },
})
