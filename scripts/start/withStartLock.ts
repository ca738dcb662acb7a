import { setTimeout as pause } from 'node:timers/promises'
import { withConnection } from '@roundsman/db/admin'

// Any constant will do, if every start uses the same.
const TURN_LOCK = 7_266_437_011
const POLL_MS = 100

export interface TakeTurnOptions {
  url: string
  /** How long to wait for other starts. */
  timeoutMs: number
  signal: AbortSignal
}

/**
 * Does the work while no other start on this database does: the second of two that find the ports free has to find them
 * taken. The lock ends with its session, and so with the process; if the session is cut, the work goes on without it.
 */
export async function withStartLock<Result>(
  { url, timeoutMs, signal }: TakeTurnOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs
  return withConnection({ url, applicationName: 'roundsman start' }, async (connection) => {
    // Behind a pooler, only a transaction keeps a session.
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
