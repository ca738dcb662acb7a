import type { PrismaClient } from '@roundsman/db'
import type { Job } from '@roundsman/runtime/contract'
import { readJobActions } from '../readActions.ts'
import type { ConsoleJobDetail } from './consoleContract.ts'
import { describeUpcoming } from './describeUpcoming.ts'
import { readJobs } from './readJobs.ts'

const DAYS = 365
const MAX_ACTIONS = 20
/** What a calendar is made of: the latest runs, so that a job that runs every second costs no more. */
const MAX_RUNS = 50_000

export async function readJobDetail(
  prisma: PrismaClient,
  wanted: Job,
  now: Date,
): Promise<ConsoleJobDetail> {
  const [[job], days, [duration], actions] = await Promise.all([
    readJobs(prisma, [wanted], now),
    readDays(prisma, wanted.name, now),
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

async function readDays(
  prisma: PrismaClient,
  name: string,
  now: Date,
): Promise<ConsoleJobDetail['days']> {
  const from = new Date(now.getTime() - DAYS * 86_400_000).toISOString()
  return await prisma.$queryRaw<ConsoleJobDetail['days']>`
    select to_char("day", 'YYYY-MM-DD') as "date",
           (count(*) filter (where "status" = 'success'))::int as "success",
           (count(*) filter (where "status" = 'failed'))::int as "failed",
           (percentile_cont(0.5) within group (order by "ms"))::float8 as "p50Ms",
           (percentile_cont(0.95) within group (order by "ms"))::float8 as "p95Ms"
    from (
      select date_trunc('day', "startedAt" at time zone 'UTC') as "day", "status",
             date_part('epoch', "endedAt" - "startedAt") * 1000 as "ms"
      from "JobRun"
      where "name" = ${name} and "startedAt" >= ${from}::timestamptz and not "dryRun"
      order by "startedAt" desc, "id" desc limit ${MAX_RUNS}
    ) run
    group by "day" order by "day"`
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
