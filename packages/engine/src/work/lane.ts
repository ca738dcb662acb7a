import type { Logger } from '../job/logger.ts'
import type { Job } from '../job/defineJob.ts'
import { ClaimConflict, MAX_CLAIM_BYTES } from '../queue/claimWork.ts'
import type { Taken } from '../queue/taken.ts'
import type { ClaimAnswer, Claimer } from './claimer.ts'
import type { Observers } from '../run/combineObservers.ts'
import { MAX_TIMER_MS } from '../values/argument.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { MAX_PAYLOAD_BYTES } from '../job/storablePayload.ts'
import type { PayloadBudget } from './payloadBudget.ts'
import type { Turns } from './turns.ts'

/*
 * A lane is in one of these states. pump() looks again whenever one of them may have ended.
 *
 *   stopped   It takes nothing: before start() and after stop(). start() ends it.
 *   claiming  A claim is under way (two at once, one for a job with a rate limit). Where it is answered in full, or wake()
 *             was called meanwhile, the lane claims again; and its answer begins the runs it brought.
 *   waiting   The last claim brought less than it asked for. wake() ends it: a notification, the worker's round, a
 *             reconnect, or the lane's own alarm once the rate limit has room again.
 *   full      As many runs are under way as may be, here or by the limits over all workers. A run that ends makes room. Or the payloads of all lanes together have
 *             as many bytes as they may; then a lane without a run still takes one piece, and a run of any lane makes room.
 *   held up   Work that has lost workers runs alone or waits for that (turns.ts). createWorker wakes the lane when turns open again.
 *   pausing   A claim failed. The lane claims again after a pause; after a ClaimConflict it waits for wake() instead.
 */

/** Takes one job's work for one worker, while there is room, and waits for more. */
export interface Lane {
  start(): void
  /** There may be work to take. Returns whether a claim is under way that takes it, or that is followed by one. */
  wake(isNews?: boolean): boolean
  /** The limits over all workers may have room again. */
  limitMayHaveRoom(): void
  /** Takes nothing more. Resolves once the runs of the claims under way have begun. */
  stop(): Promise<void>
  /** How many runs have not ended. */
  running(): number
  /** Resolves once no run is under way. */
  idle(): Promise<void>
}

export interface LaneOptions {
  job: Job
  concurrency: number
  claimer: Pick<Claimer, 'claim'>
  log: Logger
  observers?: Observers | undefined
  /** The lane takes work only while turns are open. Default: always. */
  turns?: Pick<Turns, 'isOpen' | 'enter' | 'leave'> | undefined
  /** The memory budget of all lanes of the process. Default: no limit. */
  budget?: PayloadBudget | undefined
  /** Carries a run to its end; the lane counts it as running until then. */
  perform: (taken: Taken) => Promise<unknown>
}

const MAX_CLAIM = 2_000
/** Runs that begin at once. */
const MAX_BEGIN = 100
/** Claims at once, while there is more work than one claim can take. */
const MAX_CLAIMS = 2

/** Makes a lane: see its states above. */
export function createLane(options: LaneOptions): Lane {
  const { job, claimer, log, turns, budget, perform } = options
  const concurrency = job.isExclusive ? 1 : options.concurrency
  // PostgreSQL carries out the second claim while this process begins the runs of the first.
  const maxClaims = job.rateLimit === null ? MAX_CLAIMS : 1
  let running = 0
  // Dry runs of an exclusive job: they take no room from its real run, so that the next tick need not wait for them.
  let dryRuns = 0
  // The mean size of the payloads of the last claim. Before the first claim: the largest size.
  let meanBytes = MAX_PAYLOAD_BYTES
  let asking = 0
  let claimed = 0
  let stopped = true
  const underWay = new Set<Promise<void>>()
  // The lane remembers a wake-up that comes during a claim: the claim may have looked too early.
  let woken = true
  let hasBacklog = false
  // A wake-up has come since the last claim. The next claim looks for all work, also during a backlog.
  let isAsked = false
  let hasNews = false
  // The limits over all workers let no more start when the last claim was made.
  let isFull = false
  // A run has ended since the last claim was sent. That claim has counted it as running.
  let endedSinceClaim = false
  let failures = 0
  let alarm: NodeJS.Timeout | undefined
  let leaving: NodeJS.Immediate | undefined
  const waitingForIdle: (() => void)[] = []

  function pump(): void {
    while (!stopped && woken && asking < maxClaims && (turns === undefined || turns.isOpen())) {
      const most = freeSlots()
      if (most <= 0) return
      woken = hasBacklog
      const taking = take(most).finally(() => {
        underWay.delete(taking)
        pump()
      })
      underWay.add(taking)
    }
  }

  function freeSlots(): number {
    const free = concurrency - (running - dryRuns) - claimed
    const most = dryRuns < options.concurrency ? Math.min(free, MAX_CLAIM) : 0
    if (most <= 0 || budget === undefined || budget.hasRoom()) return most
    budget.wait(pump)
    return running + claimed === 0 ? 1 : 0
  }

  async function take(most: number): Promise<void> {
    try {
      await claimAndBegin(most)
    } catch (error) {
      hasBacklog = false
      // The worker's next round wakes the lane again.
      if (error instanceof ClaimConflict) return
      log.warn({ err: error, name: job.name }, 'taking work failed, trying again')
      woken = true
      // A failed claim keeps its place during the pause: while the database is away, at most `maxClaims` are tried at once.
      asking++
      await pauseAfter(++failures)
      asking--
    }
  }

  async function claimAndBegin(most: number): Promise<void> {
    turns?.enter()
    try {
      const answer = await claim(most)
      const { work, mayBeMore, freeInMs } = answer
      failures = 0
      isFull = answer.isFull ?? false
      hasBacklog = mayBeMore
      if (mayBeMore || (isFull && endedSinceClaim)) woken = true
      if (freeInMs !== null) wakeIn(freeInMs)
      if (work.length > 0) options.observers?.workClaimed(job.name, work.length)
      // PostgreSQL carries out the next claim while these runs begin.
      pump()
      await beginAll(work)
    } finally {
      turns?.leave()
    }
  }

  /** Until the answer comes, it reserves the slots and bytes that the claim may take at most; then those that it took. */
  async function claim(most: number): Promise<ClaimAnswer> {
    asking++
    claimed += most
    const expected = Math.min(most * meanBytes, MAX_CLAIM_BYTES)
    budget?.reserve(expected)
    let brought = 0
    try {
      const how = { hasBacklog, isAsked, hasNews }
      isAsked = false
      hasNews = false
      endedSinceClaim = false
      const answer = await claimer.claim(job, most, how)
      brought = answer.work.length
      const bytes = answer.work.reduce((sum, taken) => sum + taken.bytes, 0)
      budget?.reserve(bytes)
      if (brought > 0) meanBytes = bytes / brought
      return answer
    } finally {
      budget?.release(expected)
      asking--
      claimed -= most - brought
    }
  }

  /** Lets short runs end before others begin: what thousands hold at once, the garbage collector copies again and again. */
  async function beginAll(work: readonly Taken[]): Promise<void> {
    for (let at = 0; at < work.length; at += MAX_BEGIN) {
      if (at > 0) await afterMicrotasks()
      for (const taken of work.slice(at, at + MAX_BEGIN)) begin(taken)
    }
  }

  /** Another worker may use up the allowance first; the claim then answers with a new delay. */
  function wakeIn(delayMs: number): void {
    clearTimeout(alarm)
    alarm = setTimeout(claimAgain, Math.min(Math.max(0, Math.ceil(delayMs)), MAX_TIMER_MS))
  }

  function claimAgain(): void {
    woken = true
    pump()
  }

  function wake(isNews = true): boolean {
    isAsked = true
    hasNews ||= isNews
    woken = true
    pump()
    return asking > 0
  }

  /** No closure here holds `taken`: it would keep the payload in memory until the run is settled. */
  function begin(taken: Taken): void {
    const { id: runId, name, attempt, bytes } = taken
    const isDryRun = job.isExclusive && taken.facts.dryRun === true
    claimed--
    running++
    if (isDryRun) dryRuns++
    turns?.enter()
    const end = () => {
      turns?.leave()
      budget?.release(bytes)
      leave(isDryRun)
    }
    perform(taken).then(end, (error: unknown) => {
      log.error({ err: error, name, runId, attempt }, 'the end of a job run could not be handled')
      end()
    })
  }

  function leave(isDryRun: boolean): void {
    running--
    if (isDryRun) dryRuns--
    // Runs that settle together free their room together: the lane makes one claim, not many small ones.
    leaving ??= setImmediate(() => {
      leaving = undefined
      if (running === 0) for (const resolve of waitingForIdle.splice(0)) resolve()
      limitMayHaveRoom()
      pump()
    })
  }

  function limitMayHaveRoom(): void {
    endedSinceClaim = true
    if (isFull) claimAgain()
  }

  return {
    start() {
      stopped = false
      pump()
    },
    wake,
    limitMayHaveRoom,
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

/** Resolves once all promises that wait for nothing else have settled, still in the same turn of the event loop. */
function afterMicrotasks(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
