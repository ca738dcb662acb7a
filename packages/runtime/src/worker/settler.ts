import type { Logger } from 'pino'
import type { Details } from '../contract/index.ts'
import type { Observers } from './combineObservers.ts'
import type { Database } from '../queue/database.ts'
import type { ErrorDescription } from './describeError.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../queue/queue.ts'
import { pauseAfter } from './pauseAfter.ts'
import { findSettled, settleWork, type EndedRuns, type RunEnd } from '../queue/settleWork.ts'

export interface Settlement {
  id: string
  endedAt: Date
  /** Merged into what the run's batches have counted. */
  details: Details | null
  /** The queue's side of the run, or null for a run that did not come from the queue. */
  delivery: DeliveryRef | null
  failure: { error: ErrorDescription; next: AfterFailure } | null
  held: HeldClaim
}

/** A claim that this worker holds, with how many of its runs have not been settled. */
export interface HeldClaim {
  readonly id: string
  open: number
}

export type SettleOutcome = { kind: 'settled'; details: Details | null } | { kind: 'lost' }

export interface Settler {
  /** Ends the run and settles its piece of work, both or neither. Waits out a database that is away. */
  settle(settlement: Settlement): Promise<SettleOutcome>
  /** What can't be settled now is left to the rescue: its outcome is `lost`. */
  stop(): void
}

interface Waiting {
  settlement: Settlement
  resolve: (outcome: SettleOutcome) => void
}

const MAX_GROUP = 2_000
/** At once, while there are more runs than one group can take. */
const MAX_GROUPS = 2

/**
 * Commits in groups: what has ended while one transaction was under way shares the next one. So a lone
 * run is settled at once, and thousands cost few transactions.
 */
export function createSettler(options: {
  database: Database
  queue: Queue
  workerId: string
  log: Logger
  observers?: Observers | undefined
}): Settler {
  const { database, queue, workerId, log } = options
  const waiting: Waiting[] = []
  // Claims without a run that is open, which the next group lets go.
  let left: string[] = []
  let busy = 0
  let stopped = false

  async function work(): Promise<void> {
    while (waiting.length > 0) await settleGroup(waiting.splice(0, MAX_GROUP))
    busy--
    if (busy === 0 && left.length > 0) await letGo()
  }

  async function letGo(): Promise<void> {
    const over = left
    left = []
    try {
      await database.query('delete from "JobClaim" where "id" = any($1)', [over])
    } catch (error) {
      // With the next ones: until then they say of no run that it is under way.
      left.push(...over)
      log.warn({ err: error }, 'letting claims go failed')
    }
  }

  async function settleGroup(group: Waiting[]): Promise<void> {
    const settlements = group.map(({ settlement }) => settlement)
    for (let failures = 1; ; failures++) {
      const over = [...left, ...heldByThese(settlements)]
      try {
        const details = await commit(settlements, over)
        if (failures > 1) await addSettledBefore(details, settlements)
        options.observers?.runsSettled(group.length)
        left = left.filter((id) => !over.includes(id))
        for (const { settlement, resolve } of group) {
          const { id, held } = settlement
          // Another group has settled the others of it, at the same time.
          if (--held.open === 0 && !over.includes(held.id)) left.push(held.id)
          const ended = details.get(id)
          resolve(ended === undefined ? { kind: 'lost' } : { kind: 'settled', details: ended })
        }
        return
      } catch (error) {
        // Giving up would leave the runs to the rescue, and their work to be done twice. If the commit
        // did go through, the runs are found ended, as this worker has ended them: nothing is settled twice.
        log.warn({ err: error, runs: group.length }, 'settling failed, trying again')
        if (!stopped) await pauseAfter(failures)
        if (!stopped) continue
        for (const { resolve } of group) resolve({ kind: 'lost' })
        return
      }
    }
  }

  /** A try before this one may have been committed, and only its answer was lost. */
  async function addSettledBefore(
    ended: EndedRuns,
    settlements: readonly Settlement[],
  ): Promise<void> {
    const missing = settlements.filter(({ id }) => !ended.has(id)).map(toEnd)
    for (const [id, details] of await findSettled(database, workerId, missing)) {
      ended.set(id, details)
    }
  }

  async function commit(
    settlements: readonly Settlement[],
    over: readonly string[],
  ): Promise<EndedRuns> {
    const ends = settlements.map(toEnd)
    const failed = settlements.flatMap(({ id, delivery, failure }) =>
      delivery === null || failure === null ? [] : [{ id, delivery, failure }],
    )
    // One statement is a transaction of its own.
    if (failed.length === 0) return await settleWork(database, workerId, ends, over)
    return await database.transaction(async (tx) => {
      const ended = await settleWork(tx, workerId, ends, over)
      for (const { id, delivery, failure } of failed) {
        if (ended.has(id)) await queue.fail(tx, [delivery], failure.error, failure.next)
      }
      return ended
    })
  }

  return {
    stop: () => (stopped = true),
    settle: (settlement) =>
      new Promise((resolve) => {
        waiting.push({ settlement, resolve })
        // Runs that end in the same turn of the event loop share a transaction.
        if (busy === 0 || (busy < MAX_GROUPS && waiting.length >= MAX_GROUP)) {
          busy++
          setImmediate(() => void work())
        }
      }),
  }
}

function toEnd({ id, endedAt, details, failure }: Settlement): RunEnd {
  return { id, endedAt, details, errorCode: failure?.error.code ?? null }
}

/** The claims of which these are the last. */
function heldByThese(settlements: readonly Settlement[]): string[] {
  const counts = new Map<HeldClaim, number>()
  for (const { held } of settlements) counts.set(held, (counts.get(held) ?? 0) + 1)
  return [...counts].flatMap(([{ id, open }, count]) => (open === count ? [id] : []))
}
