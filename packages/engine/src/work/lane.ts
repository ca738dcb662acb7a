import type { Logger } from '../job/logger.ts'
import type { Job } from '../index.ts'
import { ClaimConflict, type TakenWork } from '../store/claimWork.ts'
import type { ClaimAnswer, Claimer } from './claimer.ts'
import type { Observers } from '../run/combineObservers.ts'
import { MAX_TIMER_MS, pauseAfter } from '../run/pauseAfter.ts'
import type { Turns } from './turns.ts'

/** One job's way through a worker: takes its work while there is room, and waits for more. */
export interface Lane {
  start(): void
  /** There may be work to take. */
  wake(): void
  /** Takes nothing more; resolves once the claim that is under way has been handed on. */
  stop(): Promise<void>
  /** How many runs have not come to their end. */
  running(): number
  /** Resolves once there are none. */
  idle(): Promise<void>
}

export interface LaneOptions {
  job: Job
  concurrency: number
  claimer: Pick<Claimer, 'claim'>
  log: Logger
  observers?: Observers | undefined
  /** Work is taken only while they are open. Default: always. */
  turns?: Pick<Turns, 'isOpen' | 'enter' | 'leave'> | undefined
  /** Carries a run to its end; the lane counts it as running until then. */
  execute: (taken: TakenWork) => Promise<unknown>
}

const MAX_CLAIM = 2_000
/** At once, while there is more than one claim can take. */
const MAX_CLAIMS = 2

export function createLane(options: LaneOptions): Lane {
  const { job, claimer, log, turns, execute } = options
  const concurrency = job.isExclusive ? 1 : options.concurrency
  // The second claim is under way in PostgreSQL while this process records what the first has brought.
  const maxClaims = job.rateLimit === null ? MAX_CLAIMS : 1
  let running = 0
  // Of an exclusive job, beside which its real run may go on: the next tick must not wait for them.
  let rehearsing = 0
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
  const waitingForIdle: (() => void)[] = []

  function pump(): void {
    while (
      !stopped &&
      woken &&
      underWay.size < maxClaims &&
      room() > 0 &&
      (turns === undefined || turns.isOpen())
    ) {
      woken = hasBacklog
      const most = room()
      claimed += most
      const taking = take(most).finally(() => {
        underWay.delete(taking)
        pump()
      })
      underWay.add(taking)
    }
  }

  function room(): number {
    const free = concurrency - (running - rehearsing) - claimed
    return rehearsing < options.concurrency ? Math.min(free, MAX_CLAIM) : 0
  }

  async function take(most: number): Promise<void> {
    try {
      const { mayBeMore, freeInMs } = await claim(most)
      failures = 0
      hasBacklog = mayBeMore
      if (mayBeMore) woken = true
      if (freeInMs !== null) wakeIn(freeInMs)
    } catch (error) {
      hasBacklog = false
      // Looked at again when the worker makes its next round.
      if (error instanceof ClaimConflict) return
      log.warn({ err: error, name: job.name }, 'taking work failed, trying again')
      woken = true
      await pauseAfter(++failures)
    } finally {
      claimed -= most
    }
  }

  async function claim(most: number): Promise<ClaimAnswer> {
    turns?.enter()
    try {
      const answer = await claimer.claim(job, most, { hasBacklog })
      const { work } = answer
      if (work.length > 0) {
        options.observers?.workClaimed(job.name, work.length)
        for (const taken of work) begin(taken)
      }
      return answer
    } finally {
      turns?.leave()
    }
  }

  /** Others may be faster then; whoever is too soon waits again. */
  function wakeIn(delayMs: number): void {
    clearTimeout(alarm)
    alarm = setTimeout(wake, Math.min(Math.ceil(delayMs), MAX_TIMER_MS))
  }

  function wake(): void {
    woken = true
    pump()
  }

  function begin(taken: TakenWork): void {
    const isBeside = job.isExclusive && taken.run.dryRun
    running++
    if (isBeside) rehearsing++
    const end = () => leave(isBeside)
    execute(taken).then(end, (error: unknown) => {
      const { id: runId, name, attempt } = taken.run
      log.error({ err: error, name, runId, attempt }, 'a job run came to no end')
      end()
    })
  }

  function leave(isBeside: boolean): void {
    running--
    if (isBeside) rehearsing--
    // Runs that were settled together leave room together: for one claim, not for many small ones.
    leaving ??= setImmediate(() => {
      leaving = undefined
      if (running === 0) for (const resolve of waitingForIdle.splice(0)) resolve()
      pump()
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
    running: () => running,
    idle: () =>
      new Promise((resolve) => {
        if (running === 0) resolve()
        else waitingForIdle.push(resolve)
      }),
  }
}
