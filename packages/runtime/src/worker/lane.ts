import type { Logger } from 'pino'
import type { Job } from '../contract/index.ts'
import type { Observers } from './combineObservers.ts'
import type { Database } from '../queue/database.ts'
import { createIds } from '../queue/createIds.ts'
import type { Delivery, Queue } from '../queue/queue.ts'
import { chargeAllowance, readAllowance } from './throttle.ts'
import { pauseAfter } from './pauseAfter.ts'
import { endEarlierAttempts, exclusiveKey, recordRuns, type NewRun } from './runs.ts'

/** A piece of work with the run that has been recorded for it. */
export interface Claim {
  run: NewRun
  delivery: Delivery
}

/** One job's way through a worker: takes its work while there is room, and waits for more. */
export interface Lane {
  start(): void
  /** There may be work to take. */
  wake(): void
  /** Takes nothing more; resolves once the claim that is under way has been handed on. */
  stop(): Promise<void>
}

export interface LaneOptions {
  job: Job
  concurrency: number
  database: Database
  queue: Queue
  workerId: string
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** Carries one claim to its end; the lane counts it as running until then. */
  execute: (claim: Claim) => Promise<void>
}

const MAX_CLAIM = 1_000
/** At once, while there is more than one claim can take. */
const MAX_CLAIMS = 2

export function createLane(options: LaneOptions): Lane {
  const { job, database, queue, workerId, log, now, execute } = options
  const concurrency = job.isExclusive ? 1 : options.concurrency
  // The second claim is under way in PostgreSQL while this process records what the first has brought.
  const maxClaims = job.rateLimit === null ? MAX_CLAIMS : 1
  let running = 0
  let claimed = 0
  // Until it is started.
  let stopped = true
  const underWay = new Set<Promise<void>>()
  // A wake-up while a claim is under way is remembered: the claim may have looked too early.
  let woken = true
  let hasBacklog = false
  let failures = 0
  let alarm: NodeJS.Timeout | undefined
  let leaving: NodeJS.Immediate | undefined

  function pump(): void {
    while (!stopped && woken && underWay.size < maxClaims && running + claimed < concurrency) {
      woken = hasBacklog
      const room = Math.min(concurrency - running - claimed, MAX_CLAIM)
      claimed += room
      const taking = take(room).finally(() => {
        underWay.delete(taking)
        pump()
      })
      underWay.add(taking)
    }
  }

  async function take(room: number): Promise<void> {
    try {
      const { claims, mayBeMore } = await claim(room)
      failures = 0
      if (claims.length > 0) options.observers?.workClaimed(job.name, claims.length)
      for (const each of claims) begin(each)
      hasBacklog = mayBeMore
      if (mayBeMore) woken = true
    } catch (error) {
      log.warn({ err: error, name: job.name }, 'taking work failed, trying again')
      hasBacklog = false
      woken = true
      await pauseAfter(++failures)
    } finally {
      claimed -= room
    }
  }

  /**
   * Takes work and records its runs in one transaction. Killed before the commit, nothing was taken;
   * killed after it, there is a run by which the rescue finds it.
   */
  async function claim(room: number): Promise<{ claims: Claim[]; mayBeMore: boolean }> {
    let claims: Claim[] = []
    let limit = room
    try {
      await database.transaction(async (tx) => {
        if (job.rateLimit !== null) {
          const { starts, freeInMs } = await readAllowance(tx, job.name, job.rateLimit)
          if (starts === 0) return wakeIn(freeInMs)
          limit = Math.min(room, starts)
        }
        const deliveries = await queue.take(tx, job.name, limit)
        if (deliveries.length === 0) return
        if (job.rateLimit !== null) {
          await chargeAllowance(tx, job.name, job.rateLimit, deliveries.length)
        }
        const ids = createIds(deliveries.length).values()
        const startedAt = now()
        claims = deliveries.map((delivery) => ({
          delivery,
          run: newRun(ids.next().value as string, startedAt, delivery),
        }))
        const runs = claims.map(({ run: each }) => each)
        await endEarlierAttempts(tx, runs, startedAt)
        const recorded = await recordRuns(tx, workerId, runs)
        if (recorded < claims.length) throw new AlreadyRunning()
      })
    } catch (error) {
      // Rolled back, it was never taken. It is looked at again when the worker makes its next round.
      if (error instanceof AlreadyRunning) return { claims: [], mayBeMore: false }
      if (claims.length === 0 || !(await wasCommitted(claims))) throw error
    }
    // A full claim says that there is more.
    return { claims, mayBeMore: claims.length === limit }
  }

  /** Others may be faster then; whoever is sooner waits again. */
  function wakeIn(delayMs: number): void {
    clearTimeout(alarm)
    alarm = setTimeout(wake, Math.ceil(delayMs))
  }

  function wake(): void {
    woken = true
    pump()
  }

  /**
   * Whether a claim took hold whose commit was not answered. Its runs would be nobody's otherwise: this
   * worker lives, so nobody else ends them.
   */
  async function wasCommitted(claims: readonly Claim[]): Promise<boolean> {
    for (let looks = 1; !stopped; looks++) {
      try {
        const { rows } = await database.query(`select from "JobRun" where "id" = any($1)`, [
          claims.map(({ run: { id } }) => id),
        ])
        return rows.length > 0
      } catch {
        await pauseAfter(looks)
      }
    }
    // The rescue finds them once this worker is gone.
    return false
  }

  function newRun(
    id: string,
    startedAt: Date,
    { queueJobId, attempt, envelope }: Delivery,
  ): NewRun {
    return {
      id,
      name: job.name,
      trigger: envelope.trigger,
      attempt,
      scheduledFor: envelope.scheduledFor === undefined ? null : new Date(envelope.scheduledFor),
      startedAt,
      dryRun: envelope.dryRun ?? false,
      actor: envelope.actor ?? null,
      reason: envelope.reason ?? null,
      queueJobId,
      exclusiveKey: exclusiveKey(job, envelope.dryRun ?? false),
    }
  }

  function begin(one: Claim): void {
    running++
    void execute(one).finally(() => {
      running--
      // Runs that were settled together leave room together: for one claim, not for many small ones.
      leaving ??= setImmediate(() => {
        leaving = undefined
        pump()
      })
    })
  }

  return {
    start() {
      stopped = false
      pump()
    },
    wake,
    async stop() {
      stopped = true
      clearTimeout(alarm)
      await Promise.all(underWay)
    },
  }
}

/** Another run of an exclusive job is under way, in this process or in another. */
class AlreadyRunning extends Error {}
