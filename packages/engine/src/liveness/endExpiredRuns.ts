import type { Logger } from 'pino'
import type { Details } from '../index.ts'
import { END_EXPIRED_RUNS_SQL } from '../store/attemptSql.ts'
import type { Database } from '../store/database.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { RescuedRun } from '../run/observer.ts'

const DETAILS = JSON.stringify({
  error: { code: 'expired', message: 'It was still running when the queue gave its work up' },
} satisfies Details)

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
  >(END_EXPIRED_RUNS_SQL, [now(), DETAILS])
  for (const run of rows) {
    const { id, name, attempt, workerId: hungWorkerId } = run
    log.warn({ name, runId: id, attempt, hungWorkerId }, 'job run expired')
    observers?.runExpired(run)
  }
  return rows
}
