import type { Logger } from 'pino'
import type { RunObservation, WorkerObserver } from './observer.ts'

/** All of several observers, none of which can do harm to the work or to the others. */
export interface Observers extends Required<WorkerObserver> {
  runStarted(...run: Parameters<Required<WorkerObserver>['runStarted']>): Required<RunObservation>
}

/** Undefined when there are none: then nothing is called. */
export function combineObservers(
  observers: readonly WorkerObserver[],
  log: Logger,
): Observers | undefined {
  if (observers.length === 0) return undefined

  function contain<Result>(call: () => Result): Result | undefined {
    try {
      return call()
    } catch (error) {
      log.warn({ err: error }, 'an observer failed')
      return undefined
    }
  }

  function each(call: (observer: WorkerObserver) => void): void {
    for (const observer of observers) contain(() => call(observer))
  }

  function combineRun(observations: readonly RunObservation[]): Required<RunObservation> {
    return {
      logFields: Object.assign({}, ...observations.map(({ logFields }) => logFields)) as Record<
        string,
        string
      >,
      async within<Result>(work: () => Promise<Result>): Promise<Result> {
        if (!observations.some(({ within }) => within)) return await work()
        // Whatever an observer makes of it, the handler is called once, and its own end is what counts.
        let running: Promise<Result> | undefined
        const once = () => (running ??= work())
        const surrounded = observations.reduceRight<() => Promise<Result>>(
          (inner, { within }) => (within ? () => within(inner) : inner),
          once,
        )
        try {
          await surrounded()
        } catch (error) {
          log.warn({ err: error }, 'an observer failed')
        }
        return await once()
      },
      ended(end) {
        for (const observation of observations) contain(() => observation.ended?.(end))
      },
    }
  }

  return {
    runStarted: (run) =>
      combineRun(observers.flatMap((observer) => contain(() => observer.runStarted?.(run)) ?? [])),
    runRescued: (run) => each((observer) => observer.runRescued?.(run)),
    runExpired: (run) => each((observer) => observer.runExpired?.(run)),
    ticksDecided: (...ticks) => each((observer) => observer.ticksDecided?.(...ticks)),
    workClaimed: (...work) => each((observer) => observer.workClaimed?.(...work)),
    runsSettled: (count) => each((observer) => observer.runsSettled?.(count)),
  }
}
