import { setTimeout as pause } from 'node:timers/promises'
import { createDatabaseClient } from '../../packages/db/src/index.ts'

// Any constant will do; it only has to be the same in every start.
const TURN_LOCK = 7_266_437_011
const POLL_MS = 100

export interface TakeTurnOptions {
  url: string
  /** How long the wait and the work may take together. */
  timeoutMs: number
  signal: AbortSignal
}

/**
 * Does the work while no other start on this database does its own. Two that begin in the same moment both
 * find the ports free; one after the other, the second finds them taken. The turn is a lock of a database
 * session, so that it ends with the process, however that ends.
 */
export async function takeTurn<Result>(
  { url, timeoutMs, signal }: TakeTurnOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const prisma = createDatabaseClient({
    url,
    applicationName: 'roundsman start',
    poolSize: 1,
    onPoolError: () => undefined,
  })
  let done: { result: Result } | undefined
  try {
    await prisma.$transaction(
      async (tx) => {
        for (;;) {
          const [row] = await tx.$queryRaw<{ isOurs: boolean }[]>`
            select pg_try_advisory_xact_lock(${TURN_LOCK}) as "isOurs"`
          if (row?.isOurs) break
          await pause(POLL_MS, undefined, { signal })
        }
        done = { result: await work() }
      },
      { timeout: timeoutMs, maxWait: timeoutMs },
    )
  } catch (error) {
    // A session that is cut while we work costs the turn, which is no reason to give up what was done.
    if (done === undefined) throw error
  } finally {
    await prisma.$disconnect()
  }
  return (done as { result: Result }).result
}
