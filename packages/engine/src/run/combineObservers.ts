import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from '../job/logger.ts'
import { storableText } from '../values/storableText.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import type { ObservedRun, RunObservation, WorkerObserver } from './observer.ts'
import { describeError, toLoggedError } from './describeError.ts'

/** Several observers as one. None of them can harm the work or the others. */
export interface Observers extends Required<WorkerObserver> {
  runStarted(run: ObservedRun): Required<RunObservation>
}

/** The log of the worker whose observer is being called. Promises and timers of the observer keep it. */
const logOfObserver = new AsyncLocalStorage<Logger | undefined>()

/** The log of the worker whose observer's code runs now; undefined when no observer's does. */
export function findObserverLog(): Logger | undefined {
  return logOfObserver.getStore()
}

/** How long an observer may delay the start of a handler, and then the end of its run. */
const MAX_WAIT_MS = 1_000
const MAX_FIELD_LENGTH = 500

/** Combines observers; undefined when there are none. */
export function combineObservers(
  observers: readonly WorkerObserver[],
  log: Logger,
): Observers | undefined {
  if (observers.length === 0) return undefined

  const complain = (error: unknown) => complainOfObserver(log, error)

  /** Calls an observer and logs its error. It does not wait for an asynchronous one, but logs its rejection, too. */
  function contain(call: () => unknown): unknown {
    try {
      const result = logOfObserver.run(log, call)
      if (!isThenable(result)) return result
      Promise.resolve(result).catch(complain)
    } catch (error) {
      complain(error)
    }
    return undefined
  }

  function each(call: (observer: WorkerObserver) => unknown): void {
    for (const observer of observers) contain(() => call(observer))
  }

  /** Reads each part of an observation once: it is foreign, and a getter may answer differently each time. */
  function readObservation(observer: WorkerObserver, run: ObservedRun): ReadObservation[] {
    const read: ReadObservation[] = []
    contain(() => {
      const observation: unknown = observer.runStarted?.(run)
      if (typeof observation !== 'object' || observation === null || isThenable(observation)) {
        return observation
      }
      const { within, withinStep, ended, logFields } = observation as RunObservation
      read.push({
        within: typeof within === 'function' ? within.bind(observation) : null,
        withinStep: typeof withinStep === 'function' ? withinStep.bind(observation) : null,
        ended: typeof ended === 'function' ? ended.bind(observation) : null,
        logFields: readFields(logFields),
      })
      return undefined
    })
    return read
  }

  /** Calls `work` once inside all observers, and returns its result even if they fail. */
  async function surround<Result>(
    surrounding: readonly ((work: () => Promise<unknown>) => Promise<unknown>)[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (surrounding.length === 0) return await work()
    // Even if an observer fails, the handler is called once, and its own result counts.
    const started = Promise.withResolvers<void>()
    let running: Promise<Result> | undefined
    const once = () => {
      // Leave the observer's context: a stray error of the handler is not the observer's.
      running ??= logOfObserver.run(undefined, work)
      started.resolve()
      return running
    }
    const surrounded = surrounding.reduceRight<() => Promise<unknown>>(
      (inner, within) => async () => await within(inner),
      once,
    )
    const isOver = logOfObserver.run(log, surrounded).catch(async (error: unknown) => {
      // An observer may pass on the error of a step.
      const isOwn = await running?.then(
        () => false,
        (own: unknown) => own === error,
      )
      if (isOwn !== true) complain(error)
    })
    if (running === undefined) {
      await settlesWithin(Promise.race([started.promise, isOver]), MAX_WAIT_MS)
    }
    const result = await once()
    if (!(await settlesWithin(isOver, MAX_WAIT_MS))) {
      complain(new Error('An observer was still running some time after the end of the run'))
    }
    return result
  }

  function combineRun(observations: readonly ReadObservation[]): Required<RunObservation> {
    return {
      logFields: Object.fromEntries(observations.flatMap(({ logFields }) => logFields)),
      within: (work) =>
        surround(
          observations.flatMap(({ within }) => within ?? []),
          work,
        ),
      withinStep: (step, work) =>
        surround(
          observations.flatMap(({ withinStep }) =>
            withinStep ? (inner: () => Promise<unknown>) => withinStep({ ...step }, inner) : [],
          ),
          work,
        ),
      ended(end) {
        for (const { ended } of observations) contain(() => ended?.(end))
      },
    }
  }

  return {
    runStarted: (run) =>
      combineRun(observers.flatMap((observer) => readObservation(observer, copyRun(run)))),
    runRescued: (run) => each((observer) => observer.runRescued?.(run)),
    runExpired: (run) => each((observer) => observer.runExpired?.(run)),
    ticksDecided: (...ticks) => each((observer) => observer.ticksDecided?.(...ticks)),
    workClaimed: (...work) => each((observer) => observer.workClaimed?.(...work)),
    runsSettled: (count) => each((observer) => observer.runsSettled?.(count)),
  }
}

export function complainOfObserver(log: Logger, error: unknown): void {
  log.warn({ err: toLoggedError(describeError(error)) }, 'an observer failed')
}

interface ReadObservation {
  within: RunObservation['within'] | null
  withinStep: RunObservation['withinStep'] | null
  ended: RunObservation['ended'] | null
  logFields: [name: string, text: string][]
}

/** Reads an observer's log fields as bounded, storable texts. */
function readFields(fields: unknown): [string, string][] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.entries(fields).map(([name, value]) => [
    name,
    storableText(value, MAX_FIELD_LENGTH),
  ])
}

/** A copy, dates included: an observer that changes it does not change the run. */
function copyRun(run: ObservedRun): ObservedRun {
  const { scheduledFor, startedAt } = run
  return {
    ...run,
    startedAt: new Date(startedAt),
    scheduledFor: scheduledFor === null ? null : new Date(scheduledFor),
  }
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
