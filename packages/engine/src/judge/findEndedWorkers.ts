import { boundedText } from '../read/bounded.ts'
import type { ListedWorker } from '../read/listWorkers.ts'
import type { JobsReader } from '../read/reader.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import type { Found } from './problem.ts'
import { counted, inWords, listed, many, spanSince } from './words.ts'

/** Unfinished work that several workers were running when they ended, within a day. */
interface Suspect {
  name: string
  workId: string
  label: string | null
  /** The ends of the first and the last of these runs, as ISO 8601 in UTC; the last run, and the workers that had them. */
  since: string
  lastAt: string
  runId: string
  workerIds: string[]
  /**
   * The instant at which a worker may start it again, and whether alone in its process. Null if it is running or was given up.
   */
  nextAt: string | null
  isAlone: boolean
  givenUpAt: string | null
  isPaused: boolean
}

/** Maximum of the latest lost runs to search, and of pieces of work to list. */
const MAX_LOST = 1_000
const MAX_LISTED = 100

/**
 * Work of the last day that lost two or more workers, and has not ended: it waits, runs, or is a dead letter.
 *   latest  The last lost runs.
 *   lost    The work of two or more of them.
 *   under   Those of `lost` that run.
 *   of      One row for each of `lost`, made from its lost runs.
 */
const SUSPECTS_SQL = `
  with latest as materialized (
    select "workId" from "JobRun"
    where "errorCode" = 'worker_lost' and "startedAt" >= $1::timestamptz - interval '1 day' order by "startedAt" desc, "id" desc limit ${MAX_LOST}
  ), lost as materialized (
    select "workId" from latest where "workId" is not null group by 1 having count(*) >= 2
  ), under as materialized (
    select run."workId" from ${RUNS_UNDER_WAY} where run."workId" in (select "workId" from lost)
  )
  select of.*, work."dueAt" as "nextAt", coalesce(work."losses" >= 2, false) as "isAlone", letter."failedAt" as "givenUpAt",
         exists (select from "JobQueue" paused where paused."name" = of."name") as "isPaused"
  from lost left join "JobWork" work on work."id" = lost."workId"
  left join "JobDeadLetter" letter on letter."id" = lost."workId" and letter."errorCode" = 'worker_lost'
  cross join lateral (
    select max("name") as "name", lost."workId", ${boundedText('max("label")')} as "label", min("endedAt") as "since",
           max("endedAt") as "lastAt", (array_agg("id" order by "startedAt" desc, "id" desc))[1] as "runId",
           array_agg(distinct "workerId") as "workerIds"
    from (
      select * from "JobRun" run where run."workId" = lost."workId" and run."errorCode" = 'worker_lost' limit ${MAX_LOST}
    ) run
  ) of
  where work."id" is not null or letter."id" is not null or exists (select from under where under."workId" = lost."workId")
  order by cardinality(of."workerIds") desc, of."since", lost."workId" limit ${MAX_LISTED}`

/** A worker with runs that ended without signing off within the last hour. */
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

/** A deploy does not lose this many workers within an hour. */
const MANY_WORKERS = 3
const RECENT_MS = 900_000
const HOUR_MS = 3_600_000

/** Finds work that several workers were running when they ended, and workers that ended with runs for another reason. */
export async function findEndedWorkers(
  reader: JobsReader,
  workers: readonly ListedWorker[],
  now: Date,
): Promise<Found[]> {
  const values = [now.toISOString()]
  const [found, lost] = await Promise.all([
    reader.rows<Suspect>({ text: SUSPECTS_SQL, values }),
    reader.rows<LostWorker>({ text: LOST_WORKERS_SQL, values }),
  ])
  const living = new Set(workers.filter(({ isAlive }) => isAlive).map(({ id }) => id))
  const suspects = found
    .map((one) => ({ ...one, workerIds: one.workerIds.filter((id) => !living.has(id)) }))
    .filter(({ workerIds }) => workerIds.length > 1)
    .toSorted((one, other) => other.workerIds.length - one.workerIds.length)
  const explained = new Set(suspects.flatMap(({ workerIds }) => workerIds))
  const others = Map.groupBy(
    lost.filter(({ workerId }) => !explained.has(workerId)),
    ({ workerId }) => living.has(workerId),
  )
  return [
    ...withNeighbours(suspects).map((group) => ofWork(group, now)),
    ...ofWorkers(others.get(false) ?? [], now),
    ...ofCutWorkers(others.get(true) ?? [], now),
  ]
}

/** Groups pieces that ran in the same workers: at most one of each group has ended them. */
function withNeighbours(suspects: readonly Suspect[]): Suspect[][] {
  const groups: [Suspect, ...Suspect[]][] = []
  for (const one of suspects) {
    const group = groups.find(([main]) => one.workerIds.every((id) => main.workerIds.includes(id)))
    if (group === undefined) groups.push([one])
    else group.push(one)
  }
  return groups
}

function ofWork(group: readonly Suspect[], now: Date): Found {
  const [main] = group as [Suspect]
  const { workId, label, since, runId, workerIds } = main
  const lastAt = latest(group.map((one) => one.lastAt))
  const isLost = group.some(({ isPaused, givenUpAt }) =>
    givenUpAt === null ? !isPaused : now.getTime() - Date.parse(givenUpAt) < HOUR_MS,
  )
  const isAnyLeft = group.some(({ givenUpAt }) => givenUpAt === null)
  const [same, beside] = [true, false].map((isSame) =>
    group.filter((one) => (one.workerIds.length === workerIds.length) === isSame),
  ) as [Suspect[], Suspect[]]
  const which = `the same ${same.length === 1 ? 'piece' : many(same.length, 'piece')} of work of ${namesOf(same)}`
  const others =
    beside.length === 0
      ? ''
      : ` ${many(beside.length, 'other piece')} of work of ${namesOf(beside)} ran in two of them or more.`
  return {
    kind: 'endedWorkers',
    stage: isLost ? 'losing' : isAnyLeft ? 'waiting' : 'over',
    jobs: [...new Set(group.map((one) => one.name))],
    text: `${many(workerIds.length, 'worker')} ended while they ran ${which}, the last ${spanSince(lastAt, now)} ago.`,
    note:
      same.length > 1
        ? `Workers run each of these alone in a process, which shows which one ends it.${others}`
        : `${label === null ? '' : `It is ${label}. `}${sayNext(main, now)}${others}`,
    since,
    runId,
    workId,
    count: workerIds.length,
    isCut: false,
    reach: 0.5,
    share: isRecent(lastAt, now) ? 1 : 0,
    causes: group.flatMap((one) =>
      one.givenUpAt === null ? [] : [{ name: one.name, code: 'worker_lost', letters: 1 }],
    ),
  }
}

const namesOf = (group: readonly Suspect[]) => listed([...new Set(group.map((one) => one.name))])

function sayNext({ nextAt, isAlone, givenUpAt, isPaused }: Suspect, now: Date): string {
  if (givenUpAt !== null)
    return `It was given up ${spanSince(givenUpAt, now)} ago: retry it once you know that it ends no other worker.`
  if (nextAt === null) return 'A worker runs it now.'
  if (isPaused) return 'Its queue is paused, so it does not start.'
  const alone = isAlone ? ', alone in a process' : ''
  const inMs = Date.parse(nextAt) - now.getTime()
  return inMs > 0 ? `It may start in ${inWords(inMs)}${alone}.` : `It waits to start${alone}.`
}

function ofWorkers(lost: readonly LostWorker[], now: Date): Found[] {
  const [last] = lost
  if (last === undefined) return []
  const isOne = lost.length === 1
  const who = isOne ? `Worker ${last.workerId}` : counted(lost.length) + ' workers'
  const isMany = lost.length >= MANY_WORKERS && isRecent(last.at, now)
  return [
    {
      ...aboutLost(lost, now),
      stage: isMany ? 'losing' : 'over',
      text: `${who} ended with ${runsOf(lost)}, noticed ${isOne ? '' : 'the last time '}${spanSince(last.at, now)} ago.`,
      note: 'If nobody has stopped it, look into its log: the system kills a process that uses too much memory.',
    },
  ]
}

/** Workers that lost their session and were treated as dead. */
function ofCutWorkers(lost: readonly LostWorker[], now: Date): Found[] {
  const [last] = lost
  if (last === undefined) return []
  const isOne = lost.length === 1
  const who = isOne
    ? `Worker ${last.workerId} has lost its session`
    : `${counted(lost.length)} workers have lost their sessions`
  return [
    {
      ...aboutLost(lost, now),
      stage: 'over',
      text: `${who} of the database, and ${runsOf(lost)}, noticed ${isOne ? '' : 'the last time '}${spanSince(last.at, now)} ago.`,
      note: `${isOne ? 'It lives' : 'They live'}: look for what cuts connections.`,
    },
  ]
}

const runsOf = (lost: readonly LostWorker[]) =>
  `${many(
    lost.reduce((sum, one) => sum + one.runs, 0),
    'run',
  )} of ${listed([...new Set(lost.flatMap(({ names }) => names))])}`

function aboutLost(lost: readonly LostWorker[], now: Date) {
  const [last] = lost as [LostWorker]
  const jobs = [...new Set(lost.flatMap(({ names }) => names))]
  return {
    kind: 'endedWorkers' as const,
    jobs,
    since: lost.map(({ at }) => at).toSorted()[0] ?? null,
    runId: last.runId,
    ...(lost.length === 1 && { workerId: last.workerId }),
    count: lost.length,
    isCut: false,
    reach: jobs.length,
    share: isRecent(last.at, now) ? 1 : 0,
  }
}

const latest = (instants: readonly string[]) => instants.toSorted().at(-1) as string
const isRecent = (instant: string, now: Date) => now.getTime() - Date.parse(instant) <= RECENT_MS
