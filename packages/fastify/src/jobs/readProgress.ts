import { progressSchema, type Progress } from '../contract.ts'

/** As a run reports it; null for anything else that the column holds. */
export function readProgress(kept: unknown): Progress | null {
  return kept === null ? null : (progressSchema.safeParse(kept).data ?? null)
}
