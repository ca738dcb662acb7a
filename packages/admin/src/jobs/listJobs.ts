import { nextTick, type Job } from '@roundsman/engine'
import { listRecentRuns, type RecentRun } from '@roundsman/engine/internal'
import { listSchedules, type JobsReader, type ScheduleRow } from '@roundsman/engine/client'

export interface ListedJob {
  job: Job
  /** As the workers follow it, or as the catalogue has it before a worker has started with it. */
  schedule: { cron: string; timeZone: string; nextRun: Date | null } | null
  paused: { at: string; by: string | null; reason: string | null } | null
  lastRun: Pick<RecentRun, 'id' | 'status' | 'startedAt' | 'endedAt'> | null
}

/** Every job of the catalogue, in its order, with its state. */
export async function listJobs(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<ListedJob[]> {
  const names = jobs.map(({ name }) => name)
  const [schedules, runs] = await Promise.all([
    listSchedules(reader, names),
    listRecentRuns(reader, names, { limit: 1 }),
  ])
  const lastOf = new Map(runs.map((run) => [run.name, run]))
  return jobs.map((job) => describe(job, schedules.get(job.name), lastOf.get(job.name), now))
}

function describe(
  job: Job,
  row: ScheduleRow | undefined,
  run: RecentRun | undefined,
  now: Date,
): ListedJob {
  const lastRun = run
    ? { id: run.id, status: run.status, startedAt: run.startedAt, endedAt: run.endedAt }
    : null
  // A job that once had a schedule leaves its row behind, which nobody follows any more.
  if (!job.schedule) return { job, schedule: null, paused: null, lastRun }
  const { cron, timeZone } = row ?? job.schedule
  const paused = row?.pausedAt
    ? { at: row.pausedAt, by: row.pausedBy, reason: row.pauseReason }
    : null
  const nextRun = paused ? null : nextTick({ cron, timeZone }, now)
  return { job, schedule: { cron, timeZone, nextRun }, paused, lastRun }
}
