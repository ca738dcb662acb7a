import type { Host } from '../store/callersTransaction.ts'
import type { Abort } from './abort.ts'
import { pauseAfter } from './pauseAfter.ts'

const OPTIONS = { maxWait: 10_000, timeout: 60_000 }
/** Twice as long as a transaction may take that keeps a connection from the others. */
const MAX_WAIT_MS = 2 * OPTIONS.timeout

/**
 * Works in a transaction of the host's client. Where others hold all of its connections, it waits for one, until
 * the run is aborted or two minutes are over: that they take their time is no failure of this run.
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

/** Prisma's own engine and its transactions have codes for it, Knex has a name, pg's pool has a text. */
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
