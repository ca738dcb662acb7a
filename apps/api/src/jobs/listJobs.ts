import {
  boundedText,
  Prisma,
  type JobRun,
  type JobSchedule,
  type PrismaClient,
} from '@roundsman/db'
import { nextTick, type Job } from '@roundsman/engine'

export interface ListedJob {
  job: Job
  /** As the workers follow it; as the catalogue has it when no worker has started with it yet. */
  schedule: { cron: string; timeZone: string; nextRun: Date | null } | null
  paused: { at: Date; by: string | null; reason: string | null } | null
  lastRun: Pick<JobRun, 'id' | 'status' | 'startedAt' | 'endedAt'> | null
}

type Row = { name: string } & Nullable<
  Pick<JobSchedule, 'cron' | 'timeZone' | 'pausedAt' | 'pausedBy' | 'pauseReason'> &
    Pick<JobRun, 'id' | 'status' | 'startedAt' | 'endedAt'>
>

type Nullable<T> = { [Key in keyof T]: T[Key] | null }

/** Every job of the catalogue, in its order, with where it stands. */
export async function listJobs(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  jobs: readonly Job[],
  now: Date,
): Promise<ListedJob[]> {
  const rows = await prisma.$queryRaw<Row[]>(jobsQuery(jobs.map(({ name }) => name)))
  const byName = new Map(rows.map((row) => [row.name, row]))
  return jobs.map((job) => describe(job, byName.get(job.name), now))
}

/** What `listJobs` sends; apart, so that its plan can be looked at. */
export function jobsQuery(names: string[]): Prisma.Sql {
  // One look into the index of each name's runs, however many there are. With `=`, PostgreSQL may go back through
  // everybody's runs until it meets one of this job, which may have none. Only that index lists them by name first.
  return Prisma.sql`
    select job.name, schedule."cron", schedule."timeZone", schedule."pausedAt",
      ${boundedText('schedule."pausedBy"')} as "pausedBy", ${boundedText('schedule."pauseReason"')} as "pauseReason",
      run."id", run."status", run."startedAt", run."endedAt"
    from unnest(${names}::text[]) as job(name)
    left join "JobSchedule" schedule on schedule."name" = job.name
    left join lateral (
      select "id", "status", "startedAt", "endedAt" from "JobRun"
      where "name" between job.name and job.name
      order by "name", "startedAt" desc, "id" desc
      limit 1
    ) run on true`
}

function describe(job: Job, row: Row | undefined, now: Date): ListedJob {
  const lastRun =
    row?.id && row.status && row.startedAt
      ? { id: row.id, status: row.status, startedAt: row.startedAt, endedAt: row.endedAt }
      : null
  // A job that had a schedule leaves its row behind, and nobody follows it any more.
  if (!job.schedule) return { job, schedule: null, paused: null, lastRun }
  const cron = row?.cron ?? job.schedule.cron
  const timeZone = row?.timeZone ?? job.schedule.timeZone
  const paused = row?.pausedAt
    ? { at: row.pausedAt, by: row.pausedBy, reason: row.pauseReason }
    : null
  const nextRun = paused ? null : nextTick({ cron, timeZone }, now)
  return { job, schedule: { cron, timeZone, nextRun }, paused, lastRun }
}
