import {
  boundedText,
  jsonNumber,
  Prisma,
  type JobRun,
  type JobTick,
  type PrismaClient,
} from '@roundsman/db'
import type { Job } from '@roundsman/engine'
import type { ConsoleJob, ConsoleRunBrief, ConsoleTick } from './consoleContract.ts'
import { readSchedules } from './readSchedules.ts'

const STRIP = 60

type Brief = Pick<JobRun, 'id' | 'status' | 'startedAt' | 'endedAt'>
type TickRow = Pick<JobTick, 'name' | 'scheduledFor' | 'outcome' | 'reason' | 'count'> & {
  runId: string | null
  runStatus: JobRun['status'] | null
  runStartedAt: Date | null
  runEndedAt: Date | null
}
type RunRow = Brief & { name: string; cleaned: number | null }

/** The given jobs with all that their cards show, in their order. */
export async function readJobs(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  jobs: readonly Job[],
  now: Date,
): Promise<ConsoleJob[]> {
  const names = jobs.map(({ name }) => name)
  const [schedules, ticks, runs, last] = await Promise.all([
    readSchedules(prisma, jobs, now),
    prisma.$queryRaw<TickRow[]>(ticksQuery(names)),
    prisma.$queryRaw<RunRow[]>(
      runsQuery(names, Prisma.sql`"status" <> 'running' and not "dryRun"`, STRIP),
    ),
    prisma.$queryRaw<RunRow[]>(runsQuery(names, Prisma.sql`true`, 1)),
  ])
  const ticksOf = Map.groupBy(ticks, ({ name }) => name)
  const runsOf = Map.groupBy(runs, ({ name }) => name)
  const lastOf = new Map(last.map((row) => [row.name, row]))
  return jobs.map((job, index) => {
    const lastRun = lastOf.get(job.name)
    return {
      name: job.name,
      description: job.description,
      schedule: schedules[index]?.schedule ?? null,
      paused: schedules[index]?.paused ?? null,
      guard: job.guard
        ? {
            maxRows: job.guard.maxRows ?? null,
            maxShare: job.guard.maxShare ?? null,
            minRows: job.guard.minRows ?? null,
          }
        : null,
      timeoutMs: job.timeoutMs,
      retry: job.retry,
      lastRun: lastRun ? presentBrief(lastRun) : null,
      ticks: (ticksOf.get(job.name) ?? []).toReversed().map(presentTick),
      recentRuns: (runsOf.get(job.name) ?? []).toReversed().map((run) => ({
        ...presentBrief(run),
        durationMs: (run.endedAt ?? run.startedAt).getTime() - run.startedAt.getTime(),
        cleaned: run.cleaned,
      })),
      takesPayload: !job.payload.safeParse({}).success,
    }
  })
}

function presentTick(row: TickRow): ConsoleTick {
  const { scheduledFor, outcome, reason, count, runId, runStatus, runStartedAt, runEndedAt } = row
  const run =
    runId && runStatus && runStartedAt
      ? presentBrief({ id: runId, status: runStatus, startedAt: runStartedAt, endedAt: runEndedAt })
      : null
  return { scheduledFor: scheduledFor.toISOString(), outcome, reason, count, run }
}

function presentBrief({ id, status, startedAt, endedAt }: Brief): ConsoleRunBrief {
  return {
    id,
    status,
    startedAt: startedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  }
}

/**
 * The newest ticks of each job, with the last attempt at what they have enqueued; apart, so that its plan can
 * be looked at.
 */
export function ticksQuery(names: readonly string[]): Prisma.Sql {
  // With `=`, PostgreSQL may go back through everybody's ticks until it has met enough of this job, which
  // may be seldom or have none. Only the primary key lists them by name and then by time.
  return Prisma.sql`
    select tick.*, run."id" as "runId", run."status" as "runStatus", run."startedAt" as "runStartedAt",
           run."endedAt" as "runEndedAt"
    from unnest(${names}::text[]) as job(name)
    cross join lateral (
      select "name", "scheduledFor", "outcome", ${boundedText('"reason"')} as "reason", "count", "queueJobId" from "JobTick"
      where "name" between job.name and job.name
      order by "name" desc, "scheduledFor" desc limit ${STRIP}
    ) tick
    left join lateral (
      select "id", "status", "startedAt", "endedAt" from "JobRun"
      where "queueJobId" = tick."queueJobId" order by "attempt" desc limit 1
    ) run on true
    order by tick."name", tick."scheduledFor" desc`
}

/** The newest runs of each job; `between` for the same reason. */
export function runsQuery(names: readonly string[], where: Prisma.Sql, limit: number): Prisma.Sql {
  return Prisma.sql`
    select run.* from unnest(${names}::text[]) as job(name)
    cross join lateral (
      select "name", "id", "status", "startedAt", "endedAt",
             ${jsonNumber(`"details" -> 'cleaned'`)} as "cleaned"
      from "JobRun" where "name" between job.name and job.name and ${where}
      order by "name", "startedAt" desc, "id" desc limit ${limit}
    ) run
    order by run."name", run."startedAt" desc, run."id" desc`
}
