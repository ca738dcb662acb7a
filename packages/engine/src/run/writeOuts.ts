import type { Logger } from '../job/logger.ts'
import type { Database } from '../store/database.ts'
import { findLockedStarts } from '../store/findLocked.ts'
import { writeOutRuns } from '../store/starts.ts'
import { pauseAfter } from './pauseAfter.ts'
import { classifyFailure } from './settler.ts'

/** Writes a run of a start out, before anything is stored in its row. */
export type WriteOut = (startId: string, runId: string) => Promise<void>

interface Waiting {
  startId: string
  runId: string
  resolve: () => void
  reject: (error: unknown) => void
}

/** With the pauses between them about a quarter of a minute, for which the handler's first batch waits. */
const MAX_TRIES = 9
/** With the pauses between them some five minutes, for which it waits while somebody has locked what it needs. */
const MAX_LOOKS = 64
/** After so long, others start a statement of their own: somebody may hold a start that this one waits for. */
const SLOW_MS = 500
/** Statements at once, while the earlier ones are slow. */
const MAX_STATEMENTS = 4

/**
 * Writes runs out in groups: runs that come during a statement share the next one. Each statement locks their start, and
 * thousands of them would otherwise wait for one lock on a connection each. It tries again while the database is away: the
 * handler did nothing wrong, and its attempt must not fail over it.
 */
export function createWriteOuts(database: Database, log: Pick<Logger, 'warn'>): WriteOut {
  let waiting: Waiting[] = []
  let busy = 0
  let slow = 0
  // Starts that statements under way have locked: another statement would only wait for the same locks.
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
    }
    busy--
  }

  function takeGroup(): Waiting[] {
    const group = waiting.filter(({ startId }) => !underWay.has(startId))
    waiting = waiting.filter(({ startId }) => underWay.has(startId))
    for (const { startId } of group) underWay.add(startId)
    return group
  }

  /** Lets these go on, or fail, and whatever else waits for the same starts. */
  function release(group: readonly Waiting[], error?: unknown): void {
    for (const { startId, resolve, reject } of group) {
      underWay.delete(startId)
      if (error === undefined) resolve()
      else reject(error)
    }
    beginIfFree()
  }

  async function write(whole: readonly Waiting[]): Promise<void> {
    let group = whole
    for (let tries = 1; group.length > 0; tries++) {
      try {
        const startIds = [...new Set(group.map(({ startId }) => startId))]
        const runIds = group.map(({ runId }) => runId)
        await writeOutRuns(database, startIds, runIds)
        return release(group)
      } catch (error) {
        const failure = classifyFailure(error)
        if (failure === 'refused' && group.length > 1) {
          for (const one of group) await write([one])
          return
        }
        const maxTries = failure === 'contended' ? MAX_LOOKS : MAX_TRIES
        if (failure === 'refused' || tries >= maxTries) return release(group, error)
        log.warn(
          { err: error, runs: group.length },
          'runs that have started could not be recorded, trying again',
        )
        await pauseAfter(tries)
        if (failure === 'contended') {
          const [free, locked] = await divideByLocks(group)
          if (locked.length > 0) void writeOnceFree(locked, error)
          group = free
        }
      }
    }
  }

  /** Writes runs whose start or queue somebody has locked, as soon as it is free. The others do not wait for it. */
  async function writeOnceFree(group: readonly Waiting[], reason: unknown): Promise<void> {
    let locked = group
    for (let looks = 1; locked.length > 0; looks++) {
      if (looks > MAX_LOOKS) return release(locked, reason)
      await pauseAfter(looks)
      const [free, still] = await divideByLocks(locked)
      void write(free)
      locked = still
    }
  }

  async function divideByLocks(
    group: readonly Waiting[],
  ): Promise<[free: readonly Waiting[], locked: readonly Waiting[]]> {
    const startIds = [...new Set(group.map(({ startId }) => startId))]
    // When nobody can tell, the next try does.
    const ids = await findLockedStarts(database, startIds).catch(() => new Set<string>())
    return [
      group.filter(({ startId }) => !ids.has(startId)),
      group.filter(({ startId }) => ids.has(startId)),
    ]
  }

  return (startId, runId) =>
    new Promise((resolve, reject) => {
      waiting.push({ startId, runId, resolve, reject })
      beginIfFree()
    })
}
