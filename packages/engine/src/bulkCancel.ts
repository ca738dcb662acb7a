import type { JobsClient } from './createJobsClient.ts'
import { listJobRuns, type ListJobRunsOptions } from './read/jobRuns.ts'
import type { PagePosition } from './read/reader.ts'
import type { ActionRequest } from './control/controlJobs.ts'

/** Which are meant: those with these ids, or all that match, after a position. */
export type BulkSelection<Filter> =
  | { ids: readonly string[] }
  | { filter: Filter; after?: PagePosition | undefined }

interface Progress {
  /** How many more match. */
  left: number
  /** Where the next call goes on; null when nothing is left. */
  next: PagePosition | null
}

export interface BulkCancel extends Progress {
  /** How many runs will stop. */
  requested: number
  /** How many runs had ended, or do not exist. */
  notRunning: number
}

type RunFilter = Omit<ListJobRunsOptions, 'limit' | 'after'>

/** Keeps a call within a second or two. */
const RUNS_AT_ONCE = 50

/** Counting runs under way stops here. */
const MAX_COUNTED_RUNS = 200

/**
 * Cancels runs, each in a transaction of its own: two calls that write many rows could deadlock. A call does a bounded part,
 * from the latest to the oldest, and the next goes on from there: it does not meet again what starts meanwhile.
 */
export async function bulkCancel(
  client: JobsClient,
  which: BulkSelection<RunFilter>,
  by: ActionRequest,
): Promise<BulkCancel> {
  const { ids, ...progress } = await chooseRuns(client, which)
  const outcome = { requested: 0, notRunning: 0, ...progress }
  for (const id of ids) {
    const cancelled = await client.cancelRun(id, by)
    if (cancelled === 'requested') outcome.requested += 1
    else outcome.notRunning += 1
  }
  return outcome
}

/** Chooses the running runs of one request, likewise. */
async function chooseRuns(
  { reader }: JobsClient,
  which: BulkSelection<RunFilter>,
): Promise<Progress & { ids: readonly string[] }> {
  if ('ids' in which) return { ids: which.ids, left: 0, next: null }
  const running = { ...which.filter, outcome: 'running' as const }
  const page = await listJobRuns(reader, { ...running, after: which.after, limit: RUNS_AT_ONCE })
  // Skip runs that somebody cancelled already: asking again changes nothing, but would be recorded again.
  const ids = page.runs.flatMap(({ id, cancelRequestedAt }) =>
    cancelRequestedAt === null ? [id] : [],
  )
  if (page.next === null) return { ids, left: 0, next: null }
  const rest = await listJobRuns(reader, {
    ...running,
    after: page.next,
    limit: MAX_COUNTED_RUNS,
  })
  return { ids, left: rest.runs.length, next: page.next }
}
