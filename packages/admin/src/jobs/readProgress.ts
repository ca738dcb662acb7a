import { progressSchema, type Progress } from '../contract.ts'

/** What the run reported, or null when the column holds anything else. */
export function readProgress(kept: unknown): Progress | null {
  return kept === null ? null : (progressSchema.safeParse(kept).data ?? null)
}
