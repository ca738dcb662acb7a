import { z } from 'zod'

export const actionSchema = z.object({
  at: z.iso.datetime(),
  action: z.string().describe('run, dryRun, pause, resume, cancel, approve, redrive or discard'),
  actor: z.string(),
  reason: z.string().nullable(),
})
