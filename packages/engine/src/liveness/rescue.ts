import pg from 'pg'
import type { Logger } from '../job/logger.ts'
import type { Connection, Database } from '../store/database.ts'
import { END_LOST_RUNS_SQL } from '../store/attemptSql.ts'
import { IS_WORK_FREE, LOCKED_QUEUES } from '../store/findLocked.ts'
import type { AfterFailure, Queue } from '../store/queue.ts'
import { writeOutStarts } from '../store/starts.ts'
import type { Observers } from '../run/combineObservers.ts'
import { WORKER_LOST } from '../run/performRun.ts'
import { findLostClaims, RUNNING_RUNS, type LostClaim } from './whoIsLost.ts'

interface LostRun {
  id: string
  name: string
  attempt: number
  workId: string | null
  workerId: string
  dryRun: boolean
  startedAt: Date
  /** Nothing else ran in its worker's process. */
  wasAlone: boolean
  isByHand: boolean
}

/** How long a worker is connected before it rescues: after a restart of PostgreSQL the others have to come back first. */
export const RESCUE_GRACE_MS = 2_000
const MAX_RESCUES = 500

/** For so long a rescue writes starts out, and then ends runs. What others have locked may make each statement take half a second. */
const MAX_RESCUE_MS = 2_000

/** Passes over runs that others have locked, or of which they have locked the work or the queue. */
const LOST_RUNS_SQL = `
  select run."id", run."name", run."attempt", run."workId", run."workerId", run."dryRun", run."startedAt",
         claim."isAlone" as "wasAlone", run."trigger" = 'cli' as "isByHand"
  from ${RUNNING_RUNS}
  where claim."id" = any($1) and run."name" not in (${LOCKED_QUEUES}) and ${IS_WORK_FREE}
  limit ${MAX_RESCUES} for update of run skip locked`

/**
 * Keeps claims with a run that could not be ended, and starts that could not be written out: the next round finds them
 * again.
 */
const LET_GO_SQL = `
  with closed as (delete from "JobStart" where "id" = any($2) and "runIds" = '{}')
  delete from "JobClaim" where "id" = any($1) and "id" not in (
    select claim."id" from ${RUNNING_RUNS} where claim."id" = any($1)
  )`

/** Skips a claim to which somebody is adding runs at this moment, in a transaction that takes its time. */
const LOCK_CLAIMS_SQL = `
  select "id"::text as "id" from "JobClaim" where "id" = any($1) order by "id" for update skip locked`

/** Deletes claims of dead workers. Two statements: only the second sees runs added to a claim just before it was locked. */
async function letGo(database: Database, claimIds: readonly string[]): Promise<void> {
  await database.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: string }>(LOCK_CLAIMS_SQL, [claimIds])
    await tx.query(LET_GO_SQL, [rows.map(({ id }) => id), claimIds])
  })
}

interface RescueOptions {
  database: Database
  queue: Pick<Queue, 'fail'>
  log: Logger
  now: () => Date
  observers?: Observers | undefined
}

/** Finds what dead workers held and rescues it. */
export async function rescueLostRuns(
  options: RescueOptions & { workerId: string },
): Promise<LostRun[]> {
  return await rescueClaims(options, await findLostClaims(options.database, options.workerId))
}

/** Ends the runs of dead workers as failed with code `worker_lost` and gives their work back to the queue. */
export async function rescueClaims(
  { database, queue, log, now, observers }: RescueOptions,
  claims: readonly LostClaim[],
): Promise<LostRun[]> {
  if (claims.length === 0) return []
  const claimIds = claims.map(({ id }) => id)
  await writeOutStarts(database, log, claimIds, MAX_RESCUE_MS)
  const until = performance.now() + MAX_RESCUE_MS
  const { rows: lost } = await database.query<LostRun & { [column: string]: unknown }>(
    LOST_RUNS_SQL,
    [claimIds],
  )
  const rescued: LostRun[] = []
  const groups: LostRun[][] = lost.length === 0 ? [] : [lost]
  // In breadth: what can be rescued is, before one that cannot is found. The next round finds what is left.
  for (const group of groups) {
    if (performance.now() > until) break
    try {
      rescued.push(...(await database.transaction((tx) => endLostRuns(tx, queue, group, now()))))
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error
      // One run fails the statement. Divide them, so that it does not hold the others back.
      const middle = Math.ceil(group.length / 2)
      if (middle < group.length) groups.push(group.slice(0, middle), group.slice(middle))
      else log.warn({ err: error, runId: group[0]?.id }, 'rescuing a job run failed')
    }
  }
  await letGo(database, claimIds).catch((error: unknown) => {
    // The next round finds them again.
    log.warn({ err: error }, 'claims of dead workers could not be released')
  })
  for (const run of rescued) {
    const { id, name, attempt, workerId: lostWorkerId, wasAlone } = run
    log.warn({ name, runId: id, attempt, lostWorkerId, wasAlone }, 'job run rescued')
    observers?.runRescued(run)
  }
  return rescued
}

/** What somebody tries by hand is a dead letter again. A payload that kills its worker alone must not go round for ever. */
function nextOf({ isByHand, wasAlone }: LostRun): AfterFailure {
  if (isByHand) return 'giveUp'
  return wasAlone ? 'lostAlone' : 'lost'
}

/** Ends runs and gives their work back; returns those that no other worker ended first, and that nobody has locked. */
async function endLostRuns(
  tx: Connection,
  queue: Pick<Queue, 'fail'>,
  runs: readonly LostRun[],
  endedAt: Date,
): Promise<LostRun[]> {
  const { rows } = await tx.query<{ id: string }>(END_LOST_RUNS_SQL, [
    runs.map(({ id }) => id),
    endedAt,
    WORKER_LOST,
  ])
  const ended = new Set(rows.map(({ id }) => id))
  const won = runs.filter(({ id }) => ended.has(id))
  for (const [name, ofJob] of Map.groupBy(won, (run) => run.name))
    for (const [next, lost] of Map.groupBy(ofJob, nextOf)) await giveBack(name, lost, next)
  return won

  async function giveBack(name: string, lost: LostRun[], next: AfterFailure): Promise<void> {
    // Fenced to the attempt: if the queue has given the work out again, leave that attempt alone.
    const deliveries = lost.flatMap(({ workId, attempt }) =>
      workId === null ? [] : [{ workId, name, attempt }],
    )
    await queue.fail(
      tx,
      deliveries,
      { code: WORKER_LOST, message: 'The worker that executed the run died' },
      next,
    )
  }
}
