import { defineJob } from '@roundsman/runtime/contract'

export const cleanupPreviewSessions = defineJob({
  name: 'cleanupPreviewSessions',
  description: 'Marks preview sessions as expired that are past their time or were revoked.',
  schedule: { cron: '*/15 * * * *' },
})
