import { readWakeUp } from '../database/channels.ts'
import type { Connection, PreparedStatement } from '../database/database.ts'

/** Passes notifications on to a worker's lanes and runs, once the transactions behind them have committed. */
export interface WakeUps {
  /** Takes the payload of a notification. */
  receive(payload: string, receiver: Receiver): void
  stop(): void
}

/** The receiver of wake-ups. Any client of the database can notify, so a subject may be any text. */
export interface Receiver {
  /** Wake-ups about other subjects are dropped. */
  isWanted(subject: string): boolean
  /** Called once the transaction has committed. */
  onCommitted(subject: string): void
}

/** A transaction whose commit is awaited. */
interface Awaited {
  /** Keyed by subject. */
  calls: Map<string, () => void>
  looks: number
  /** By performance.now(), as is `since`. */
  dueAt: number
  since: number
}

/** Beyond it, wake-ups are dropped: the worker's round finds their work within a second. */
const MAX_AWAITED = 1_000
const FIRST_LOOK_MS = 1
const MAX_LOOK_MS = 100
const MAX_AWAITED_MS = 10_000
/** With more open transactions than this, looks are at least LEAST_GAP_MS apart. */
const MANY = 8
const LEAST_GAP_MS = 5

/**
 * Waits for commits. A client gets no notice when the caller's transaction commits, so the worker asks the database: at once, then
 * ever less often. One small statement asks for all transactions.
 */
export function createWakeUps(connection: Connection): WakeUps {
  const awaited = new Map<string, Awaited>()
  let timer: NodeJS.Timeout | undefined
  let isLooking = false
  let isStopped = false

  function schedule(): void {
    clearTimeout(timer)
    if (isLooking || isStopped || awaited.size === 0) return
    let dueAt = Infinity
    for (const one of awaited.values()) dueAt = Math.min(dueAt, one.dueAt)
    const gapMs = awaited.size > MANY ? LEAST_GAP_MS : 0
    const waitMs = Math.max(gapMs, dueAt - performance.now())
    if (waitMs <= 0) void look()
    else timer = setTimeout(() => void look(), waitMs)
  }

  async function look(): Promise<void> {
    isLooking = true
    try {
      const asked = [...awaited.keys()]
      const askedAt = performance.now()
      const ended = await findEndedTransactions(connection, asked)
      const now = performance.now()
      for (const id of asked) {
        const one = awaited.get(id) as Awaited
        if (ended.has(id)) {
          awaited.delete(id)
          if (ended.get(id)) for (const call of one.calls.values()) call()
        } else if (now - one.since > MAX_AWAITED_MS) awaited.delete(id)
        // A look asks for all, but only those that were due slow down.
        else if (one.dueAt <= askedAt)
          one.dueAt = now + Math.min(FIRST_LOOK_MS * 2 ** one.looks++, MAX_LOOK_MS)
      }
    } finally {
      isLooking = false
      schedule()
    }
  }

  return {
    receive(payload, { isWanted, onCommitted }) {
      const wakeUp = readWakeUp(payload)
      if (wakeUp === null || isStopped || !isWanted(wakeUp.subject)) return
      const { subject, transactionIds } = wakeUp
      const call = () => onCommitted(subject)
      const now = performance.now()
      if (transactionIds.length === 0) return call()
      for (const transactionId of transactionIds) {
        const one = awaited.get(transactionId)
        if (one) one.calls.set(subject, call)
        else if (awaited.size < MAX_AWAITED)
          awaited.set(transactionId, {
            calls: new Map([[subject, call]]),
            looks: 0,
            dueAt: now,
            since: now,
          })
      }
      schedule()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** Which of these transactions have ended, and whether they committed. */
async function findEndedTransactions(
  connection: Connection,
  transactionIds: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  try {
    const { rows } = await connection.query<{ id: string; hasCommitted: boolean }>(FIND_ENDED, [
      transactionIds,
    ])
    return new Map(rows.map(({ id, hasCommitted }) => [id, hasCommitted]))
  } catch {
    // The database is away, or refuses an id: act as if all had committed, so that the lanes look once.
    return new Map(transactionIds.map((id) => [id, true]))
  }
}

/** PostgreSQL has forgotten very old transactions: those have ended. Asked for an id it has not given out yet, it would fail. */
const FIND_ENDED: PreparedStatement = {
  name: 'roundsman_find_ended',
  text: `
  select id, coalesce(status, 'committed') = 'committed' as "hasCommitted"
  from unnest($1::text[]) id cross join lateral (
    select case when id::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status(id::xid8)
      else 'in progress' end as status
  ) transaction
  where status is distinct from 'in progress'`,
}
