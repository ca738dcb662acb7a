import { progressSchema, type Progress } from '../contract.ts'

/** The progress of a run. Null if the column has another value. */
export function readProgress(kept: unknown): Progress | null {
  return kept === null ? null : (progressSchema.safeParse(kept).data ?? null)
}
