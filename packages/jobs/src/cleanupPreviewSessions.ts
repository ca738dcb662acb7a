import { defineJob } from '@roundsman/engine'

export const cleanupPreviewSessions = defineJob({
  name: 'cleanupPreviewSessions',
  description: 'Marks preview sessions as expired that are past their time or were revoked.',
  schedule: { cron: '*/15 * * * *' },
  isDestructive: true,
  dryRun: true,
  // A share of the active sessions. After hours without a worker most short ones are due at once; nearly all of a large
  // table only when a clock is wrong.
  guard: { maxShare: 0.9, minRows: 10_000 },
})
