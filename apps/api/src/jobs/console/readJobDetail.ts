import type { PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/engine'
import { readJobActions } from '../readActions.ts'
import type { ConsoleJobDetail } from './consoleContract.ts'
import type { JobDays } from './createJobDays.ts'
import { describeUpcoming } from './describeUpcoming.ts'
import { readJobs } from './readJobs.ts'

const MAX_ACTIONS = 20

export async function readJobDetail(
  prisma: PrismaClient,
  wanted: Job,
  now: Date,
  readDays: JobDays,
): Promise<ConsoleJobDetail> {
  const [[job], days, [duration], actions] = await Promise.all([
    readJobs(prisma, [wanted], now),
    readDays(wanted.name, now),
    readDuration(prisma, wanted.name),
    readJobActions(prisma, wanted.name, MAX_ACTIONS),
  ])
  if (!job) throw new Error(`${wanted.name} is not among the jobs that were read`)
  const upcoming =
    job.schedule && !job.paused
      ? describeUpcoming(job.schedule, now)
      : { upcoming: [], isCut: false }
  return {
    job,
    days,
    duration: duration ?? { p50Ms: null, p95Ms: null, runs: 0 },
    ...upcoming,
    actions,
  }
}

async function readDuration(
  prisma: PrismaClient,
  name: string,
): Promise<ConsoleJobDetail['duration'][]> {
  return await prisma.$queryRaw<ConsoleJobDetail['duration'][]>`
    select (percentile_cont(0.5) within group (order by "ms"))::float8 as "p50Ms",
           (percentile_cont(0.95) within group (order by "ms"))::float8 as "p95Ms", count(*)::int as "runs"
    from (
      select extract(epoch from "endedAt" - "startedAt") * 1000 as "ms" from "JobRun"
      where "name" = ${name} and "status" <> 'running' and not "dryRun"
      order by "startedAt" desc, "id" desc limit 1000
    ) run`
}
