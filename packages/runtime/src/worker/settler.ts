import type { Logger } from 'pino'
import type { Details } from '../contract/index.ts'
import type { Observers } from './combineObservers.ts'
import type { Connection, Database } from '../queue/database.ts'
import type { ErrorDescription } from './describeError.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../queue/queue.ts'
import { pauseAfter } from './pauseAfter.ts'
import { endRuns, type RunEnd } from './runs.ts'

export interface Settlement extends RunEnd {
  /** The queue's side of the run, or null for a run that did not come from the queue. */
  delivery: DeliveryRef | null
  failure: { error: ErrorDescription; next: AfterFailure } | null
}

export type SettleOutcome = { kind: 'settled'; details: Details | null } | { kind: 'lost' }

export interface Settler {
  /** Ends the run and settles its piece of work, both or neither. Waits out a database that is away. */
  settle(settlement: Settlement): Promise<SettleOutcome>
}

interface Waiting {
  settlement: Settlement
  resolve: (outcome: SettleOutcome) => void
}

const MAX_GROUP = 1_000
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
  let busy = 0

  async function work(): Promise<void> {
    while (waiting.length > 0) await settleGroup(waiting.splice(0, MAX_GROUP))
    busy--
  }

  async function settleGroup(group: Waiting[]): Promise<void> {
    for (let failures = 1; ; failures++) {
      try {
        const details = await database.transaction((tx) =>
          commit(
            tx,
            group.map(({ settlement }) => settlement),
          ),
        )
        options.observers?.runsSettled(group.length)
        for (const { settlement, resolve } of group) {
          const ended = details.get(settlement.id)
          resolve(ended === undefined ? { kind: 'lost' } : { kind: 'settled', details: ended })
        }
        return
      } catch (error) {
        // Giving up would leave the runs to the rescue, and their work to be done twice. If the commit
        // did go through, the runs are found ended and count as lost: nothing is settled twice.
        log.warn({ err: error, runs: group.length }, 'settling failed, trying again')
        await pauseAfter(failures)
      }
    }
  }

  async function commit(
    tx: Connection,
    settlements: Settlement[],
  ): Promise<Map<string, Details | null>> {
    const ended = await endRuns(tx, workerId, settlements)
    const completed = new Map<string, DeliveryRef[]>()
    for (const { id, delivery, failure } of settlements) {
      if (delivery === null || !ended.has(id)) continue
      if (failure) {
        await queue.fail(tx, [delivery], failure.error, failure.next)
      } else {
        const sameJob = completed.get(delivery.name)
        if (sameJob) sameJob.push(delivery)
        else completed.set(delivery.name, [delivery])
      }
    }
    for (const deliveries of completed.values()) await queue.complete(tx, deliveries)
    return ended
  }

  return {
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
