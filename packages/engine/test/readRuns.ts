import type { TestRuntime } from './openTestRuntime.ts'

/** What tests read of a run. */
export interface RunRow {
  id: string
  name: string
  status: string
  attempt: number
  trigger: string
  actor: string | null
  reason: string | null
  dryRun: boolean
  errorCode: string | null
  details: {
    effects?: number
    batches?: number
    removed?: number
    error?: { code: string; message: string }
    [key: string]: unknown
  } | null
  progress: { done: number; total: number | null } | null
  approvedBy: string | null
  cancelRequestedBy: string | null
  workId: string
  workerId: string
  startedAt: Date
  endedAt: Date | null
}

/** All that has started, in that order. */
export const readRuns = ({ rows }: Pick<TestRuntime, 'rows'>): Promise<RunRow[]> =>
  rows<RunRow>('select * from "JobRunAll" order by "startedAt", "attempt"')
