import type { Connection } from '../database/database.ts'
import { isAliveSql } from '../database/workerLock.ts'

/*
 * A worker holds its runs by claims. A claim is lost when its worker does not live (database/workerLock.ts): the worker that
 * finds it ends its runs (liveness/rescue.ts).
 */

/** After a restart of PostgreSQL, when not all workers have connected again, one counts as living for so long. */
export const SIGN_COUNTS_MS = 30_000

/**
 * Whether the last heartbeat in a row of JobWorker is recent. It shows that the process was at work, and ends no run. It uses the
 * time of the statement: its transaction may have waited since it began.
 */
export function gaveSignSql(worker: string): string {
  return `${worker}."heartbeatAt" >= statement_timestamp() - interval '${SIGN_COUNTS_MS} milliseconds'`
}

/** The row of JobThrottle with the time at which a worker last signed off: its own row is deleted then. No job has this name. */
export const LAST_SIGN_OFF = 'last sign-off'

/** A claim that its worker can do nothing more with. */
export interface LostClaim {
  id: string
  name: string
  workerId: string
}

/** Keeps a round short, however much is lost. Any of them: where some stay locked, the others have their turn. */
const MAX_LOST = 500

/**
 * Claims of workers that are gone, except the parameter `workerId`. It begins with the list of workers and asks once for each: after
 * many ended claims the table of claims takes long to read while an old snapshot keeps what was deleted. A worker that holds a claim
 * stays on the list.
 */
export const lostClaimsSql = (workerId: string) => `
  with gone as materialized (
    select worker."id" from "JobWorker" worker
    where worker."id" <> ${workerId} and not ${isAliveSql('worker."id"')}
  )
  select claim."id"::text as "id", claim."name", claim."workerId" from gone join "JobClaim" claim on claim."workerId" = gone."id"
  order by random() limit ${MAX_LOST}`

/** Finds claims that seem lost at this moment. Just after a restart of PostgreSQL they may not be: see RESCUE_GRACE_MS. */
export async function findLostClaims(
  connection: Connection,
  workerId: string,
): Promise<LostClaim[]> {
  const { rows } = await connection.query<LostClaim & { [column: string]: unknown }>(
    lostClaimsSql('$1'),
    [workerId],
  )
  return rows
}
