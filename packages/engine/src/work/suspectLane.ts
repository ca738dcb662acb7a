import type { Job } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import { Abort } from '../run/abort.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { TakenWork } from '../store/claimWork.ts'
import type { Claimer } from './claimer.ts'
import type { Lane } from './lane.ts'
import type { Turns } from './turns.ts'

/**
 * Takes work that has lost several workers, a piece at a time, and runs it alone in this process: if it is lost again, its own run
 * is to blame. It claims nothing before nothing else runs here; where that takes too long, it leaves the work to other workers.
 */
export interface SuspectLane extends Omit<Lane, 'start' | 'wake'> {
  /** There is such work of this job. */
  wake(job: Job): void
}

export function createSuspectLane(options: {
  claimer: Pick<Claimer, 'claimSuspect'>
  turns: Pick<Turns, 'take'>
  log: Logger
  observers?: Observers | undefined
  /** Carries a run to its end. */
  execute: (job: Job, taken: TakenWork) => Promise<unknown>
}): SuspectLane {
  const { claimer, turns, log, observers, execute } = options
  const waiting = new Map<string, Job>()
  let isStopped = false
  let running = 0
  let underWay: Promise<void> | null = null

  async function takeAll(): Promise<void> {
    for (const [name, job] of waiting) {
      waiting.delete(name)
      if (isStopped) return
      try {
        await takeOne(job)
      } catch (error) {
        // The worker's next round wakes it again.
        log.warn({ err: error, name }, 'taking work that is to run alone failed, trying again')
      }
    }
  }

  async function takeOne(job: Job): Promise<void> {
    // An isolated run cannot harm this process, so it needs no turn.
    const turn = job.isolate === null ? await turns.take(new Abort()) : null
    if (turn !== null && turn.kind !== 'alone') {
      log.info(
        { name: job.name, reason: turn.kind },
        'work that is to run alone was left to other workers',
      )
      return
    }
    try {
      const { work } = await claimer.claimSuspect(job)
      if (work.length > 0) observers?.workClaimed(job.name, work.length)
      for (const taken of work) {
        const { name, id: runId, attempt } = taken.run
        log.info({ name, runId, attempt }, 'job run is alone: its work has lost several workers')
        running++
        await execute(job, taken).finally(() => running--)
      }
    } finally {
      turn?.end()
    }
  }

  return {
    wake(job) {
      if (isStopped) return
      waiting.set(job.name, job)
      underWay ??= takeAll().finally(() => {
        underWay = null
      })
    },
    async stop() {
      isStopped = true
      // A run under way goes on: `idle` waits for it.
      if (running === 0) await underWay
    },
    running: () => running,
    idle: async () => void (await underWay),
  }
}
