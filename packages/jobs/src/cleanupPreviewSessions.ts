import { defineJob } from '@roundsman/engine'

export const cleanupPreviewSessions = defineJob({
  name: 'cleanupPreviewSessions',
  description: 'Marks preview sessions as expired that are past their time or were revoked.',
  schedule: { cron: '*/15 * * * *' },
  isDestructive: true,
  // Of those that are active. Most of them are due at once after hours without a worker, where sessions are
  // short; nearly all of very many only by a wrong clock.
  guard: { maxShare: 0.9, minRows: 10_000 },
})
