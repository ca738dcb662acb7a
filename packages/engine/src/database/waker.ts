import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../job/logger.ts'
import {
  CANCEL_CHANNEL,
  notify,
  TRANSACTIONS_PER_WAKE_UP,
  WORK_CHANNEL,
  writeWakeUp,
} from './channels.ts'
import type { Connection } from './database.ts'
import { settlesWithin } from './settlesWithin.ts'

/**
 * Notifies the workers of possible work. It returns at once, so that enqueueing does not wait for it, and works outside the
 * caller's transaction. A lost notification costs a second: then workers look by themselves.
 */
export interface Waker {
  /** Reports work of this job, after the commit of the transaction. Null: it has committed. */
  wake(name: string, transactionId: string | null): void
  /** Reports the requested cancellation of a run, after the commit of the transaction. */
  cancel(runId: string, transactionId: string): void
  /** Sends the pending notifications, within a second. */
  stop(): Promise<void>
}

/** Beyond this number, notifications are dropped: workers find the work by themselves. */
const MAX_SUBJECTS = 1_000
const MAX_TRANSACTIONS = 1_000
/** The pause between two statements, so that thousands of enqueues a second do not cost as many notifications. */
const GAP_MS = 5
/** A longer pause follows a statement with this many transactions: workers check the end of each. */
const MANY_TRANSACTIONS = 8
const GAP_AFTER_MANY_MS = 20
/** The pause after a failed statement. By then workers have looked by themselves. */
const GAP_AFTER_FAILURE_MS = 1_000
const WARN_EVERY_MS = 60_000
const STOP_MS = 1_000

/**
 * Sends one statement after another. Notifications that come during a statement go with the next, even if that hangs behind the
 * commit of another session.
 */
export function createWaker(connection: Connection, log: Pick<Logger, 'warn'>): Waker {
  const pending = { [WORK_CHANNEL]: new Map(), [CANCEL_CHANNEL]: new Map() } as Record<
    string,
    Map<string, Set<string>>
  >
  let telling: Promise<void> | null = null
  const stopping = new AbortController()
  // By performance.now().
  let warnedAt = -Infinity

  function add(channel: string, subject: string, transactionId: string | null): void {
    const subjects = pending[channel] as Map<string, Set<string>>
    let transactionIds = subjects.get(subject)
    if (transactionIds === undefined) {
      if (subjects.size === MAX_SUBJECTS) return
      subjects.set(subject, (transactionIds = new Set()))
    }
    if (transactionIds.size < MAX_TRANSACTIONS) transactionIds.add(transactionId ?? COMMITTED)
    telling ??= tellAll().finally(() => (telling = null))
  }

  async function tellAll(): Promise<void> {
    // Notifications of the same turn of the event loop go together.
    await Promise.resolve()
    for (;;) {
      const said = Object.entries(pending).filter(([, subjects]) => subjects.size > 0)
      if (said.length === 0) return
      const transactions = said.reduce((sum, [, subjects]) => sum + countTransactions(subjects), 0)
      const isTold = await tell(said)
      if (stopping.signal.aborted && !isTold) return
      const gapMs = transactions < MANY_TRANSACTIONS ? GAP_MS : GAP_AFTER_MANY_MS
      await pause(isTold ? gapMs : GAP_AFTER_FAILURE_MS, undefined, stopping).catch(() => undefined)
    }
  }

  async function tell(said: readonly [string, Map<string, Set<string>>][]): Promise<boolean> {
    try {
      for (const [channel, subjects] of said) {
        const payloads = [...subjects].flatMap(([subject, ids]) => toPayloads(subject, ids))
        subjects.clear()
        await notify(connection, channel, payloads)
      }
      return true
    } catch (error) {
      const now = performance.now()
      if (now - warnedAt > WARN_EVERY_MS) {
        warnedAt = now
        const reason = error instanceof Error ? error.message : String(error)
        log.warn(
          { reason },
          'workers could not be notified of new work: they find it within a second',
        )
      }
      return false
    }
  }

  return {
    wake: (name, transactionId) => add(WORK_CHANNEL, name, transactionId),
    cancel: (runId, transactionId) => add(CANCEL_CHANNEL, runId, transactionId),
    async stop() {
      stopping.abort()
      if (telling) await settlesWithin(telling, STOP_MS)
    },
  }
}

function countTransactions(subjects: ReadonlyMap<string, ReadonlySet<string>>): number {
  let count = 0
  for (const ids of subjects.values()) count += ids.size
  return count
}

const COMMITTED = 'committed'

function toPayloads(subject: string, ids: Set<string>): string[] {
  const payloads = ids.delete(COMMITTED) ? [writeWakeUp({ subject, transactionIds: [] })] : []
  const open = [...ids]
  for (let from = 0; from < open.length; from += TRANSACTIONS_PER_WAKE_UP) {
    const transactionIds = open.slice(from, from + TRANSACTIONS_PER_WAKE_UP)
    payloads.push(writeWakeUp({ subject, transactionIds }))
  }
  return payloads
}
