import type { Logger } from '../job/logger.ts'
import type { Database } from '../store/database.ts'
import { writeOutRuns } from '../store/starts.ts'
import { pauseAfter } from './pauseAfter.ts'
import { classifyFailure } from './settler.ts'

/** Writes a run of a start out, before it says anything that is kept in its row. */
export type WriteOut = (startId: string, runId: string) => Promise<void>

interface Waiting {
  startId: string
  runId: string
  resolve: () => void
  reject: (error: unknown) => void
}

/** With the pauses between them, a quarter of a minute: for as long the handler waits with its first batch. */
const MAX_TRIES = 9
/** What waits behind a statement that takes longer need not wait for it: somebody may hold one of its starts. */
const SLOW_MS = 500
/** At once, while the others are slow. */
const MAX_STATEMENTS = 4

/**
 * Gathers the runs that are to be written out while a statement is under way into the next one: each locks the start
 * that they share, and thousands would wait for it on a connection each. Until the database takes it, it is tried
 * again: the handler has done nothing wrong, and its attempt must not fail over it.
 */
export function createWriteOuts(database: Database, log: Pick<Logger, 'warn'>): WriteOut {
  let waiting: Waiting[] = []
  let busy = 0
  let slow = 0
  // Starts of the statements that are under way: another one would only wait for the same locks.
  const underWay = new Set<string>()

  function beginIfFree(): void {
    if (waiting.length === 0 || busy > slow || busy === MAX_STATEMENTS) return
    busy++
    // Handlers that go on in the same turn of the event loop share a statement.
    setImmediate(() => void writeAll())
  }

  async function writeAll(): Promise<void> {
    for (let group = takeGroup(); group.length > 0; group = takeGroup()) {
      let isSlow = false
      const alarm = setTimeout(() => {
        isSlow = true
        slow++
        beginIfFree()
      }, SLOW_MS)
      await write(group)
      clearTimeout(alarm)
      if (isSlow) slow--
      for (const { startId } of group) underWay.delete(startId)
    }
    busy--
  }

  function takeGroup(): Waiting[] {
    const group = waiting.filter(({ startId }) => !underWay.has(startId))
    waiting = waiting.filter(({ startId }) => underWay.has(startId))
    for (const { startId } of group) underWay.add(startId)
    return group
  }

  async function write(group: readonly Waiting[]): Promise<void> {
    const startIds = [...new Set(group.map(({ startId }) => startId))]
    const runIds = group.map(({ runId }) => runId)
    for (let tries = 1; ; tries++) {
      try {
        await writeOutRuns(database, startIds, runIds)
        for (const { resolve } of group) resolve()
        return
      } catch (error) {
        const isRefused = classifyFailure(error) === 'refused'
        if (isRefused && group.length > 1) {
          for (const one of group) await write([one])
          return
        }
        if (isRefused || tries === MAX_TRIES) {
          for (const { reject } of group) reject(error)
          return
        }
        log.warn({ err: error, runs: group.length }, 'writing runs out failed, trying again')
        await pauseAfter(tries)
      }
    }
  }

  return (startId, runId) =>
    new Promise((resolve, reject) => {
      waiting.push({ startId, runId, resolve, reject })
      beginIfFree()
    })
}
