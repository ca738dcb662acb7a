import type { HostClient } from '../index.ts'
import type { Abort } from './abort.ts'
import { pauseAfter } from './pauseAfter.ts'

const OPTIONS = { maxWait: 10_000, timeout: 60_000 }
/** Twice as long as a transaction may take that keeps a connection from the others. */
const MAX_WAIT_MS = 2 * OPTIONS.timeout

/**
 * Works in a transaction of the product's client. Where others hold all of its connections, it waits for one, until
 * the run is aborted or two minutes are over: that they take their time is no failure of this run.
 */
export async function inFreeTransaction<Tx>(
  client: HostClient,
  abort: Abort,
  work: (tx: Tx) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now()
  let isBegun = false
  for (let tries = 1; ; tries++) {
    try {
      await client.$transaction(async (tx: Tx) => {
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

/** Prisma's own engine and its transactions have codes for it, pg's pool has a text. */
function saysNoneIsFree(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  return (
    code === 'P2024' ||
    code === 'P2028' ||
    error.message.includes('timeout exceeded when trying to connect')
  )
}
