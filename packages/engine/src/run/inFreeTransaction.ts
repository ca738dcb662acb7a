import type { Host } from '../database/callersTransaction.ts'
import type { Abort } from './abort.ts'
import { pauseAfter } from './pauseAfter.ts'

const OPTIONS = { maxWait: 10_000, timeout: 60_000 }
/** Twice as long as a transaction that holds a connection may take. */
const MAX_WAIT_MS = 2 * OPTIONS.timeout

/**
 * Works in a transaction of the host's client. While others hold all of the client's connections it tries again, until the
 * run is aborted or two minutes have passed, so that their long transactions do not fail this run.
 */
export async function inFreeTransaction(
  host: Host,
  abort: Abort,
  work: (tx: object) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now()
  let isBegun = false
  for (let tries = 1; ; tries++) {
    try {
      await host.transaction(async (tx) => {
        isBegun = true
        await work(tx)
      }, OPTIONS)
      return
    } catch (error) {
      const isOver = abort.isAborted || performance.now() - startedAt > MAX_WAIT_MS
      if (isBegun || isOver || !saysNoneIsFree(error)) throw error
      await pauseAfter(tries)
      if (abort.isAborted) throw error
    }
  }
}

/** Whether no connection was free: Prisma has two codes for that, Knex an error name, pg's pool a text. */
function saysNoneIsFree(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return (
    code === 'P2024' ||
    code === 'P2028' ||
    error.name === 'KnexTimeoutError' ||
    error.message.includes('timeout exceeded when trying to connect')
  )
}
