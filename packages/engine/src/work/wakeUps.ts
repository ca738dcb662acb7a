import { readWakeUp } from '../store/channels.ts'
import type { Connection } from '../store/database.ts'

/** What a worker does with the wake-ups that it hears. */
export interface WakeUps {
  /** Takes what was heard on a channel. */
  hear(payload: string, hearer: Hearer): void
  stop(): void
}

/** Whoever may connect may notify, so a payload can be anything. */
export interface Hearer {
  /** Of others nothing is kept. */
  isWanted(subject: string): boolean
  /** Told once the transaction has committed. */
  onCommitted(subject: string): void
}

/** A transaction that others may not see yet. */
interface Awaited {
  /** By subject. */
  tell: Map<string, () => void>
  looks: number
  /** By the monotonic clock, as `since`. */
  dueAt: number
  since: number
}

/** The round, once a second, finds what comes of the others. */
const MAX_AWAITED = 1_000
const FIRST_LOOK_MS = 1
const MAX_LOOK_MS = 100
const MAX_AWAITED_MS = 10_000
/** Between two looks, where many transactions are open. */
const MANY = 8
const LEAST_GAP_MS = 5

/**
 * Whoever enqueues cannot know when its transaction commits, so the worker looks: at once, and then ever less often. A
 * look is one small statement for all that it waits for.
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
      const ended = await findEnded(connection, asked)
      const now = performance.now()
      for (const id of asked) {
        const one = awaited.get(id) as Awaited
        if (ended.has(id)) {
          awaited.delete(id)
          if (ended.get(id)) for (const tell of one.tell.values()) tell()
        } else if (now - one.since > MAX_AWAITED_MS) awaited.delete(id)
        // Others were asked for because one was due: each has its own pace.
        else if (one.dueAt <= askedAt)
          one.dueAt = now + Math.min(FIRST_LOOK_MS * 2 ** one.looks++, MAX_LOOK_MS)
      }
    } finally {
      isLooking = false
      schedule()
    }
  }

  return {
    hear(payload, { isWanted, onCommitted }) {
      const wakeUp = readWakeUp(payload)
      if (wakeUp === null || isStopped || !isWanted(wakeUp.subject)) return
      const { subject, transactionIds } = wakeUp
      const tell = () => onCommitted(subject)
      const now = performance.now()
      if (transactionIds.length === 0) return tell()
      for (const transactionId of transactionIds) {
        const one = awaited.get(transactionId)
        if (one) one.tell.set(subject, tell)
        else if (awaited.size < MAX_AWAITED)
          awaited.set(transactionId, {
            tell: new Map([[subject, tell]]),
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

/** Of these transactions, those that have ended, and whether they committed. */
async function findEnded(
  connection: Connection,
  transactionIds: readonly string[],
): Promise<ReadonlyMap<string, boolean>> {
  try {
    const { rows } = await connection.query<{ id: string; hasCommitted: boolean }>(FIND_ENDED_SQL, [
      transactionIds,
    ])
    return new Map(rows.map(({ id, hasCommitted }) => [id, hasCommitted]))
  } catch {
    // The database is away, or does not take an id for one: look once, and leave it.
    return new Map(transactionIds.map((id) => [id, true]))
  }
}

/** What PostgreSQL knows no more has ended, being too old, and what it does not know yet has not: it would fail at that. */
const FIND_ENDED_SQL = `
  select id, coalesce(status, 'committed') = 'committed' as "hasCommitted"
  from unnest($1::text[]) id cross join lateral (
    select case when id::xid8 < pg_snapshot_xmax(pg_current_snapshot()) then pg_xact_status(id::xid8)
      else 'in progress' end as status
  ) transaction
  where status is distinct from 'in progress'`
