import type { Logger } from 'pino'
import type { Details } from '../index.ts'
import type { Database } from '../store/database.ts'
import { IS_DEAD_LETTER } from '../store/deadLetterSql.ts'
import { SHORTEST_EXPIRY_S } from '../store/expireSeconds.ts'
import { RUNNING_RUNS } from './runningRuns.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { RescuedRun } from '../run/observer.ts'

const MAX_ENDED = 500

const DETAILS = JSON.stringify({
  error: { code: 'expired', message: 'It was still running when the queue gave its work up' },
} satisfies Details)

/**
 * What the queue itself has given up, or wants to give out again, has a run that still counts as running. Younger claims
 * are not looked into. `state` as a
 * text keeps PostgreSQL to the primary key. A run that is locked is in a batch or being settled: the next look finds it.
 */
const END_SQL = `
  with expired as (
    update "JobRun" run
    set "status" = 'failed', "endedAt" = $1, "errorCode" = 'expired',
        "details" = coalesce(run."details", '{}') || $2::jsonb
    where run."status" = 'running' and run."id" = any(array(
      select run."id" from ${RUNNING_RUNS}
      where claim."createdAt" < now() - interval '${SHORTEST_EXPIRY_S} seconds' and run."queueJobId" is not null
        and not exists (
          select from pgboss.job job
          where job.name = run."name" and job.id = run."queueJobId" and job.state::text = 'active'
            and job.retry_count = run."attempt" - 1
        )
      order by run."id" limit ${MAX_ENDED}
      for update of run skip locked
    ))
    returning run."id", run."name", run."attempt", run."dryRun", run."startedAt", run."queueJobId", run."workerId"
  ), freed as (
    delete from "JobClaim" claim
    where claim."exclusiveKey" is not null and claim."runIds" && array(select "id" from expired)
  ), kept as (
    update pgboss.job job set deletion_seconds = 0 from expired
    where job.name = expired."name" and job.id = expired."queueJobId" and ${IS_DEAD_LETTER}
      and job.deletion_seconds <> 0
  )
  select "id", "name", "attempt", "dryRun", "startedAt", "workerId" from expired`

interface EndOptions {
  database: Database
  log: Logger
  now: () => Date
  observers?: Observers | undefined
}

/**
 * Ends runs that go on beyond every limit, so that whoever executes them can commit nothing more: the queue takes their
 * attempts for hung. Where another attempt follows, its claim would do it; after the last one nobody else does.
 */
export async function endExpiredRuns(options: EndOptions): Promise<RescuedRun[]> {
  const { database, log, now, observers } = options
  const { rows } = await database.query<
    RescuedRun & { workerId: string; [column: string]: unknown }
  >(END_SQL, [now(), DETAILS])
  for (const run of rows) {
    const { id, name, attempt, workerId: hungWorkerId } = run
    log.warn({ name, runId: id, attempt, hungWorkerId }, 'job run expired')
    observers?.runExpired(run)
  }
  return rows
}
