import { z } from 'zod'

export const progressSchema = z.object({
  done: z.number(),
  total: z.number().nullable().describe('Null when the run does not know'),
})

/** As a run reports it; null for anything else that the column holds. */
export function readProgress(kept: unknown): z.output<typeof progressSchema> | null {
  return kept === null ? null : (progressSchema.safeParse(kept).data ?? null)
}
