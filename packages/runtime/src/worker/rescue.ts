import type { Logger } from 'pino'
import type { Details } from '../contract/index.ts'
import type { Connection, Database } from '../queue/database.ts'
import type { Queue } from '../queue/queue.ts'
import { HEARTBEAT_TIMEOUT_MS } from '../queue/session.ts'

export interface LostRun {
  id: string
  name: string
  attempt: number
  queueJobId: string | null
  workerId: string
}

/** After a restart of PostgreSQL every worker has to come back before any is taken for dead. */
export const RESCUE_GRACE_MS = 2_000
const MAX_RESCUES = 100
const MAX_LOST_ATTEMPTS = 25

/**
 * The running runs of workers that are gone. A worker that lives holds the advisory lock named after it
 * (session.ts); PostgreSQL lets it go with the connection, within milliseconds of a SIGKILL.
 */
const LOST_RUNS_SQL = `
  select run."id", run."name", run."attempt", run."queueJobId", run."workerId"
  from "JobRun" run
    left join "JobWorker" worker on worker."id" = run."workerId",
    hashtextextended(run."workerId", 0) as key
  where run."status" = 'running' and run."workerId" <> $1
    and case when worker."liveness" = 'heartbeat'
      then worker."heartbeatAt" < now() - interval '${HEARTBEAT_TIMEOUT_MS} milliseconds'
      else not exists (
        select from pg_locks lock
        where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
          and lock.database = (select oid from pg_database where datname = current_database())
          and lock.classid::bigint = (key >> 32) & 4294967295
          and lock.objid::bigint = key & 4294967295
      )
    end
  limit ${MAX_RESCUES}`

/** Ends the runs of dead workers as failed with code `worker_lost` and gives their work back to the queue. */
export async function rescueLostRuns(options: {
  database: Database
  queue: Pick<Queue, 'fail'>
  workerId: string
  log: Logger
  now: () => Date
}): Promise<LostRun[]> {
  const { database, queue, workerId, log, now } = options
  const rescued: LostRun[] = []
  for (const run of await findLostRuns(database, workerId)) {
    const won = await database
      .transaction((tx) => endLostRun(tx, queue, run, now()))
      .catch((error: unknown) => {
        // One that can't be rescued now must not keep the others from it.
        log.warn({ err: error, name: run.name, runId: run.id }, 'rescuing a job run failed')
        return false
      })
    // Another worker was faster, or the run has ended after all.
    if (!won) continue
    rescued.push(run)
    log.warn(
      { name: run.name, runId: run.id, attempt: run.attempt, lostWorkerId: run.workerId },
      'job run rescued',
    )
  }
  return rescued
}

/** Those that seem lost at this moment. Another moment may be needed to tell: see RESCUE_GRACE_MS. */
export async function findLostRuns(database: Database, workerId: string): Promise<LostRun[]> {
  const { rows } = await database.query<LostRun & { [column: string]: unknown }>(LOST_RUNS_SQL, [
    workerId,
  ])
  return rows
}

async function endLostRun(
  tx: Connection,
  queue: Pick<Queue, 'fail'>,
  run: LostRun,
  endedAt: Date,
): Promise<boolean> {
  const error = {
    code: 'worker_lost',
    message: `Worker ${run.workerId} died while it executed this run`,
  }
  const { rows } = await tx.query(
    `update "JobRun" set "status" = 'failed', "endedAt" = $2, "details" = coalesce("details", '{}') || $3::jsonb
     where "id" = (
       -- Its worker may have been stopped with the row locked, in the middle of a batch: not waited for.
       select "id" from "JobRun" where "id" = $1 and "status" = 'running' for update skip locked
     ) returning "id"`,
    [run.id, endedAt, JSON.stringify({ error } satisfies Details)],
  )
  if (rows.length === 0) return false
  // A payload that kills its worker must not go round for ever.
  const next = run.attempt < MAX_LOST_ATTEMPTS ? 'redeliver' : 'giveUp'
  // Fenced to the attempt: if the queue has given the work out again, that attempt is left alone.
  if (run.queueJobId !== null) {
    await queue.fail(
      tx,
      { queueJobId: run.queueJobId, name: run.name, attempt: run.attempt },
      error,
      next,
    )
  }
  return true
}
