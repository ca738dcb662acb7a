import type { Logger } from '../job/logger.ts'
import type { Details } from '../job/handler.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { Cancellations } from '../run/cancellations.ts'
import type { RescuedRun } from '../run/observer.ts'
import { END_EXPIRED_RUNS_SQL } from '../store/attemptSql.ts'
import { dropClosedClaims } from '../store/claimWork.ts'
import type { Database } from '../store/database.ts'
import type { Queue } from '../store/queue.ts'
import { readyJobsSql } from '../store/queueSql.ts'
import { OLD_STARTS_SQL, writeOutStarts } from '../store/starts.ts'
import { RESCUE_GRACE_MS, rescueClaims } from './rescue.ts'
import { BEAT_SQL, type Session } from './session.ts'
import { isBeatingSql, LOST_CLAIMS_SQL, type LostClaim } from './whoIsLost.ts'

export interface Rounds {
  start(): void
  /** Makes no more rounds. Resolves once the one under way is over. */
  stop(): Promise<void>
}

/** How often a worker looks for lost runs and for work that sent no notification. */
const ROUND_MS = 1_000
/**
 * After this worker's own heartbeat was found old, the database's clock has stepped ahead, or this process stood still: for so
 * long nobody is taken for dead. Others beat every 5 s.
 */
const LATE_GRACE_MS = 7_000
/** Every tenth round looks for expired runs: pg-boss looks for expired attempts once a minute. */
const ROUNDS_PER_EXPIRY = 10

/** Does a worker's housekeeping once a second, beside its runs, while others can see that it lives. */
export function createRounds(options: {
  session: Session
  database: Database
  queue: Pick<Queue, 'fail'>
  cancellations: Pick<Cancellations, 'check'>
  workerId: string
  /** The jobs whose work this worker takes. */
  names: readonly string[]
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** Called for a job that may have work to take. */
  onReady: (name: string) => void
  /** Called when this worker has ended a run of a dead worker, or one that went on beyond every limit. */
  onEnded: (run: { id: string; name: string }) => void
}): Rounds {
  const { session, database, queue, workerId, names, log, now, observers, onReady } = options
  let timer: NodeJS.Timeout | undefined
  let round: Promise<void> = Promise.resolve()
  let roundsMade = 0
  let judgesAt = -Infinity
  let isStopped = false

  async function makeRound(): Promise<void> {
    const connectedForMs = session.connectedForMs()
    if (connectedForMs === null) return
    await attempt(async () => {
      const seen = await readRound(session, workerId, names)
      const { lost, ready, oldStarts, isIdle, isLate, isListed } = seen
      if (isLate) judgesAt = performance.now() + LATE_GRACE_MS
      // First what concerns this worker's own work: rescuing what others have locked takes time.
      for (const name of ready) onReady(name)
      await attempt(() => options.cancellations.check())
      if (!isListed) await attempt(() => session.signUp())
      await attempt(() => writeOutStarts(database, log, oldStarts, ROUND_MS))
      if (connectedForMs >= RESCUE_GRACE_MS && performance.now() >= judgesAt) {
        const rescue = { database, queue, log, now, observers }
        await attempt(async () => {
          for (const run of await rescueClaims(rescue, lost)) hasEnded(run)
        })
      }
      if (roundsMade++ % ROUNDS_PER_EXPIRY === 0 && !isIdle) {
        await attempt(() => dropClosedClaims(database, workerId))
        for (const run of await endExpiredRuns({ database, log, now, observers })) hasEnded(run)
      }
    })
  }

  /** One part that fails holds no other back. */
  async function attempt(part: () => Promise<void>): Promise<void> {
    try {
      await part()
    } catch (error) {
      log.warn({ err: error }, 'round of rescue and heartbeat failed, trying again')
    }
  }

  /** A run that a round has ended no longer occupies its job, and its work may be ready again. */
  function hasEnded(run: { id: string; name: string }): void {
    options.onEnded(run)
    onReady(run.name)
  }

  function schedule(): void {
    timer = setTimeout(() => {
      round = makeRound().finally(() => {
        if (!isStopped) schedule()
      })
    }, ROUND_MS)
  }

  return {
    start: schedule,
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await round
    },
  }
}

export interface Seen {
  /** Claims whose workers seem to be dead. */
  lost: LostClaim[]
  /** Names of jobs with work to take now. */
  ready: string[]
  /** Starts with runs that have not ended for a while. */
  oldStarts: string[]
  /** Whether no worker holds anything. */
  isIdle: boolean
  /**
   * Whether this worker's own last heartbeat is as old as that of a dead one. A worker with a lock could not write one while
   * somebody had its row locked: that says nothing of the others.
   */
  isLate: boolean
  /** Whether the list of workers has this one. */
  isListed: boolean
}

/** One statement, the only one that an idle worker sends. `$1` is the worker's id. */
const ROUND_SQL = `
  with beat as (${BEAT_SQL} returning "id")
  select (select coalesce(jsonb_agg(lost), '[]') from (${LOST_CLAIMS_SQL}) lost) as "lost",
         (select coalesce(array_agg(ready.name), '{}') from (${readyJobsSql('$2')}) ready) as "ready",
         (${OLD_STARTS_SQL}) as "oldStarts",
         not exists (select from "JobClaim") and not exists (select from "JobStart") as "isIdle",
         exists (
           select from "JobWorker" me where me."id" = $1 and not ${isBeatingSql('me')}
             and (me."liveness" = 'heartbeat' or exists (select from beat))
         ) as "isLate",
         exists (select from "JobWorker" where "id" = $1) as "isListed"`

/** Reads what a round has to do, and writes the worker's heartbeat in the same statement. */
export async function readRound(
  connection: Pick<Session, 'query'>,
  workerId: string,
  names: readonly string[],
): Promise<Seen> {
  const { rows } = await connection.query<Seen & { [column: string]: unknown }>(ROUND_SQL, [
    workerId,
    names,
  ])
  if (rows[0]) return rows[0]
  return { lost: [], ready: [], oldStarts: [], isIdle: true, isLate: false, isListed: true }
}

const EXPIRED_DETAILS = JSON.stringify({
  error: { code: 'expired', message: 'The run was still running when the queue gave up its work' },
} satisfies Details)

interface EndOptions {
  database: Database
  log: Logger
  now: () => Date
  observers?: Observers | undefined
}

/**
 * Ends runs that go on beyond every limit, so that their workers can commit nothing more: the queue has given their work up
 * or out again. The claim of a next attempt would end them too; after the last attempt only this does.
 */
export async function endExpiredRuns(options: EndOptions): Promise<RescuedRun[]> {
  const { database, log, now, observers } = options
  const { rows } = await database.query<
    RescuedRun & { workerId: string; [column: string]: unknown }
  >(END_EXPIRED_RUNS_SQL, [now(), EXPIRED_DETAILS])
  for (const run of rows) {
    const { id, name, attempt, workerId: hungWorkerId } = run
    log.warn({ name, runId: id, attempt, hungWorkerId }, 'job run expired')
    observers?.runExpired(run)
  }
  return rows
}
