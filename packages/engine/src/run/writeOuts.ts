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

/**
 * Gathers the runs that are to be written out while a statement is under way into the next one: each locks the start
 * that they share, and thousands would wait for it on a connection each. Until the database takes it, it is tried
 * again: the handler has done nothing wrong, and its attempt must not fail over it.
 */
export function createWriteOuts(database: Database, log: Pick<Logger, 'warn'>): WriteOut {
  let waiting: Waiting[] = []
  let isBusy = false

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      await write(group)
    }
    isBusy = false
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
      if (isBusy) return
      isBusy = true
      // Handlers that go on in the same turn of the event loop share a statement.
      setImmediate(() => void writeAll())
    })
}
