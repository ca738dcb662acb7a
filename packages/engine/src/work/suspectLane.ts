import type { Job } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { Taken } from '../queue/taken.ts'
import type { Claimer } from './claimer.ts'
import type { Lane } from './lane.ts'
import type { Turns } from './turns.ts'

/**
 * Takes work that has lost several workers, a piece of each job at a time, and runs it alone in this process: if it is lost again,
 * its own run is to blame. It claims only while no other run is under way here. If that takes too long, it leaves the work to other
 * workers.
 */
export interface SuspectLane extends Omit<Lane, 'start' | 'wake' | 'limitMayHaveRoom'> {
  /** There is such work of this job. */
  wake(job: Job): void
}

/** How long a job whose claim brought nothing does not hold up the lanes again: its rate limit is used up, or another worker was first. */
const REST_MS = 10_000

export function createSuspectLane(options: {
  claimer: Pick<Claimer, 'claimSuspect'>
  turns: Pick<Turns, 'acquire'>
  log: Logger
  observers?: Observers | undefined
  /** Carries a run to its end. */
  perform: (job: Job, taken: Taken) => Promise<unknown>
}): SuspectLane {
  const { claimer, turns, log, observers, perform } = options
  /** By the job's name. */
  const underWay = new Map<string, Promise<void>>()
  const claims = new Set<Promise<unknown>>()
  /** By performance.now(). */
  const restsUntil = new Map<string, number>()
  let isStopped = false
  let running = 0

  /** Takes a piece after the other until there is none. The worker's next round wakes it again. */
  async function takeAll(job: Job): Promise<void> {
    const { name } = job
    try {
      for (let count = 0; !isStopped; count++) {
        if (await takeOne(job)) continue
        if (count === 0) restsUntil.set(name, performance.now() + REST_MS)
        return
      }
    } catch (error) {
      log.warn({ err: error, name }, 'taking work that is to run alone failed, trying again')
    }
  }

  /** Returns false when there was none to take. */
  async function takeOne(job: Job): Promise<boolean> {
    const claiming = claimAlone(job)
    claims.add(claiming)
    const { taken, endTurn } = await claiming.finally(() => claims.delete(claiming))
    if (taken === undefined) return false
    const { name, id: runId, attempt } = taken
    log.info({ name, runId, attempt }, 'job run is alone: its work has lost several workers')
    running++
    try {
      await perform(job, taken)
    } finally {
      running--
      endTurn()
    }
    return true
  }

  /** Claims a piece once no other run is under way here. If it gets none, its turn ends. */
  async function claimAlone(job: Job): Promise<{ taken?: Taken; endTurn: () => void }> {
    const { name } = job
    // An isolated run cannot harm this process, so it needs no turn.
    if (job.isolate !== null) return { ...(await claim(job)), endTurn: () => undefined }
    log.info({ name }, 'work waits to run alone: it has lost several workers')
    const turn = await turns.acquire()
    if (turn.kind !== 'alone') {
      log.info({ name, reason: turn.kind }, 'work that is to run alone was left to other workers')
      return { endTurn: () => undefined }
    }
    let claimed: { taken?: Taken } = {}
    try {
      claimed = await claim(job)
    } finally {
      if (claimed.taken === undefined) turn.end()
    }
    return { ...claimed, endTurn: turn.end }
  }

  async function claim(job: Job): Promise<{ taken?: Taken }> {
    const [taken] = (await claimer.claimSuspect(job)).work
    if (taken === undefined) return {}
    observers?.workClaimed(job.name, 1)
    return { taken }
  }

  return {
    wake(job) {
      const { name } = job
      const rests = performance.now() < (restsUntil.get(name) ?? 0)
      if (isStopped || rests || underWay.has(name)) return
      underWay.set(
        name,
        takeAll(job).finally(() => underWay.delete(name)),
      )
    },
    async stop() {
      isStopped = true
      // Runs under way go on: `idle` waits for them.
      await Promise.allSettled(claims)
    },
    running: () => running,
    idle: async () => void (await Promise.all(underWay.values())),
  }
}
