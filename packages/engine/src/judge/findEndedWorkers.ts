import { boundedText } from '../read/bounded.ts'
import type { JobsReader } from '../read/reader.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import type { Found } from './problem.ts'
import { counted, inWords, listed, many, spanSince } from './words.ts'

/** Work that waits or runs although workers have ended while they ran it, twice or more within a day. */
interface Killer {
  name: string
  workId: string
  label: string | null
  losses: number
  /** When the first and the last of these runs ended, as ISO 8601 in UTC; the last, and the workers that had them. */
  since: string
  lastAt: string
  runId: string
  workerIds: string[]
  version: string | null
  /** When a worker may start it again; null while one runs it. */
  nextAt: string | null
  isPaused: boolean
}

/** How many of the last lost runs are looked through, and how many pieces of work are listed. */
const MAX_LOST = 1_000
const MAX_LISTED = 20

const KILLERS_SQL = `
  with latest as materialized (
    select "workId" from "JobRun"
    where "errorCode" = 'worker_lost' and "startedAt" >= $1::timestamptz - interval '1 day' order by "startedAt" desc, "id" desc limit ${MAX_LOST}
  ), lost as materialized (
    select "workId" from latest where "workId" is not null group by 1 having count(*) >= 2
  ), under as materialized (
    select run."workId" from ${RUNS_UNDER_WAY} where run."workId" in (select "workId" from lost)
  )
  select of.*, work."dueAt" as "nextAt", exists (select from "JobQueue" paused where paused."name" = of."name") as "isPaused"
  from lost left join "JobWork" work on work."id" = lost."workId"
  cross join lateral (
    select max("name") as "name", lost."workId", ${boundedText('max("label")')} as "label", count(*)::int as "losses", min("endedAt") as "since",
           max("endedAt") as "lastAt", (array_agg("id" order by "startedAt" desc, "id" desc))[1] as "runId",
           array_agg(distinct "workerId") as "workerIds"
    from (
      select * from "JobRun" run where run."workId" = lost."workId" and run."errorCode" = 'worker_lost' limit ${MAX_LOST}
    ) run
  ) of
  where work."id" is not null or exists (select from under where under."workId" = lost."workId")
  order by of."losses" desc, of."since", lost."workId" limit ${MAX_LISTED}`

/** A worker that was found to have ended within the last hour, with runs. */
interface LostWorker {
  workerId: string
  names: string[]
  runs: number
  at: string
  runId: string
}

const LOST_WORKERS_SQL = `
  select ${boundedText('"workerId"')} as "workerId", array_agg(distinct "name") as "names", count(*)::int as "runs", max("endedAt") as "at",
         (array_agg("id" order by "startedAt" desc, "id" desc))[1] as "runId"
  from (
    select * from "JobRun" where "errorCode" = 'worker_lost' and "startedAt" >= $1::timestamptz - interval '1 day'
    order by "startedAt" desc, "id" desc limit ${MAX_LOST}
  ) run where "endedAt" >= $1::timestamptz - interval '1 hour'
  group by 1 order by max("endedAt") desc`

/** So many workers within an hour end by no deploy. */
const MANY_WORKERS = 3

/** Finds work that ends workers, and workers that have ended with runs for another reason. */
export async function findEndedWorkers(reader: JobsReader, now: Date): Promise<Found[]> {
  const values = [now.toISOString()]
  const [killers, lost] = await Promise.all([
    reader.rows<Killer>({ text: KILLERS_SQL, values }),
    reader.rows<LostWorker>({ text: LOST_WORKERS_SQL, values }),
  ])
  const explained = new Set(killers.flatMap(({ workerIds }) => workerIds))
  const others = lost.filter(({ workerId }) => !explained.has(workerId))
  return [...killers.map((one) => ofWork(one, now)), ...ofWorkers(others, now)]
}

function ofWork(one: Killer, now: Date): Found {
  const { name, workId, label, losses, since, runId, lastAt, isPaused } = one
  return {
    kind: 'endedWorkers',
    stage: isPaused ? 'waiting' : 'losing',
    jobs: [name],
    text: `One piece of work of ${name} has ended ${many(losses, 'worker')}, the last ${spanSince(lastAt, now)} ago.`,
    note: `${label === null ? '' : `It is ${label}. `}${sayNext(one, now)}`,
    since,
    runId,
    workId,
    count: losses,
    isCut: false,
    reach: 0.5,
    share: Date.parse(lastAt) >= now.getTime() - 900_000 ? 1 : 0,
  }
}

function sayNext({ nextAt, isPaused }: Killer, now: Date): string {
  if (nextAt === null) return 'A worker runs it now, alone in its process.'
  if (isPaused) return 'Its queue is paused, so it does not start.'
  const inMs = Date.parse(nextAt) - now.getTime()
  return inMs > 0
    ? `It starts again in ${inWords(inMs)}, alone in a process.`
    : 'It waits for a process in which nothing else runs.'
}

function ofWorkers(lost: readonly LostWorker[], now: Date): Found[] {
  const [last] = lost
  if (last === undefined) return []
  const runs = lost.reduce((sum, one) => sum + one.runs, 0)
  const jobs = [...new Set(lost.flatMap(({ names }) => names))]
  const isOne = lost.length === 1
  const who = isOne ? `Worker ${last.workerId}` : counted(lost.length) + ' workers'
  return [
    {
      kind: 'endedWorkers',
      stage: lost.length >= MANY_WORKERS ? 'losing' : 'over',
      jobs,
      text: `${who} ended with ${many(runs, 'run')} of ${listed(jobs)}, noticed ${isOne ? '' : 'the last time '}${spanSince(last.at, now)} ago.`,
      note: 'If nobody has stopped it, look into its log: the system kills a process that uses too much memory.',
      since: lost.map(({ at }) => at).toSorted()[0] ?? null,
      runId: last.runId,
      ...(isOne && { workerId: last.workerId }),
      count: lost.length,
      isCut: false,
      reach: jobs.length,
      share: Date.parse(last.at) >= now.getTime() - 900_000 ? 1 : 0,
    },
  ]
}
