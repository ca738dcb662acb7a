import { setTimeout as pause } from 'node:timers/promises'
import { withConnection } from '@roundsman/db/admin'

// Any constant will do; it only has to be the same in every start.
const TURN_LOCK = 7_266_437_011
const POLL_MS = 100

export interface TakeTurnOptions {
  url: string
  /** How long the wait may take. */
  timeoutMs: number
  signal: AbortSignal
}

/**
 * Does the work while no other start on this database does its own. Two that begin in the same moment both
 * find the ports free; one after the other, the second finds them taken. The turn is a lock of a database
 * session, so that it ends with the process, however that ends. A session that is cut while we work costs
 * the turn, which is no reason to give up what was done.
 */
export async function withStartLock<Result>(
  { url, timeoutMs, signal }: TakeTurnOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs
  return withConnection({ url, applicationName: 'roundsman start' }, async (connection) => {
    // A pooler gives a session to somebody else between two transactions.
    await connection.query('begin')
    for (;;) {
      const { rows } = await connection.query<{ isOurs: boolean }>(
        'select pg_try_advisory_xact_lock($1) as "isOurs"',
        [TURN_LOCK],
      )
      if (rows[0]?.isOurs) return work()
      if (performance.now() > deadline) {
        throw new Error(
          `Another start on this database was not done after ${timeoutMs / 1_000} s; stop it, or try again.`,
        )
      }
      await pause(POLL_MS, undefined, { signal })
    }
  })
}
