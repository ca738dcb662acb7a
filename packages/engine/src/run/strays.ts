import { AsyncLocalStorage } from 'node:async_hooks'
import { writeSync } from 'node:fs'
import type { ContainedLog } from '../store/containedLog.ts'
import { JobError } from '../index.ts'
import type { Abort } from './abort.ts'
import { complainOfObserver, findObserverLog } from './combineObservers.ts'
import { describeError, toLoggedError } from './describeError.ts'
import type { Execute } from './performRun.ts'

/** A run whose handler is called in this process. */
export interface RunHere {
  readonly name: string
  readonly runId: string
  readonly timeoutMs: number
}

interface NamedRun extends RunHere {
  readonly owner: unknown
  readonly abort: Abort
  readonly payload: unknown
  isOver: boolean
  strays: number
}

/** Errors that nobody caught, of a process that runs handlers. */
export interface Strays {
  /** Unless it is contained, only who ends the process is noticed. */
  start(options: { isContained: boolean }): void
  stop(): void
  /** Calls the handler so that what it leaves behind is known to be this run's. */
  execute: Execute
  /** The runs whose handlers have been called and have not ended. */
  running(): Iterable<RunHere>
}

/** The code of a run whose handler left an error to nobody. */
const HANDLER_CRASHED = 'handler_crashed'

/** What a handler that is not to be stopped goes on leaving behind is not news for ever. */
const MAX_LINES_OF_A_RUN = 10

/**
 * One for all workers of a process: each has to know another's runs from what belongs to none. It carries through
 * promises, timers and streams; an emitter or a pool calls back in the name of whoever created it.
 */
const currentRun = new AsyncLocalStorage<NamedRun>()

/**
 * Notices rejections and exceptions that nobody caught, for which Node would end the process and all runs in it. The
 * run in whose name it happened ends, and the others go on. What an observer leaves behind ends none. Where no run can be named, the process is in a state that
 * nobody knows: the caller has to bring it to an end.
 */
export function createStrays(options: {
  log: ContainedLog
  execute: Execute
  /** A handler is about to be called. */
  onStart?: ((run: RunHere) => void) | undefined
  /** An error that belongs to no run. */
  onUnnamed: (error: unknown) => void
}): Strays {
  const { log, onUnnamed } = options
  const owner = {}
  const runs = new Set<NamedRun>()

  function notice(error: unknown): void {
    const observerLog = findObserverLog()
    if (observerLog !== undefined) {
      // Another worker's in this process says so itself.
      if (observerLog === log) complainOfObserver(log, error)
      return
    }
    const run = currentRun.getStore()
    if (run === undefined) return onUnnamed(error)
    // Another worker's in this process, which notices it as well.
    if (run.owner !== owner) return
    const { name, runId, abort } = run
    if (++run.strays <= MAX_LINES_OF_A_RUN) {
      const line = run.isOver
        ? 'a handler left an error behind, after its run had ended'
        : 'a handler left an error behind, and its run ends'
      logForeignError(log, 'error', { name, runId }, error, line)
    }
    if (run.isOver) return
    abort.abortAtOnce(toCrash(error, run.payload))
  }

  /** The last moment at which anybody can say who ended the process. */
  function noticeExit(code: number): void {
    const run = currentRun.getStore()
    if (run !== undefined && run.owner !== owner) return
    const by = run === undefined ? {} : { name: run.name, runId: run.runId }
    // A handler's zero would tell whoever watches the process that all is well.
    if (run !== undefined && code === 0) process.exitCode = 1
    if (run === undefined && runs.size === 0) return
    const line = {
      level: 60,
      time: Date.now(),
      pid: process.pid,
      ...log.bindings?.(),
      ...by,
      exitCode: process.exitCode ?? code,
      runs: listRuns(runs),
      msg:
        run === undefined
          ? 'the process ends while runs are under way'
          : 'a handler ended the process',
    }
    // Nothing else is written any more at this point.
    writeSync(2, `${JSON.stringify(line)}\n`)
  }

  function listen(): void {
    process.on('exit', noticeExit)
    process.on('uncaughtException', notice)
    process.on('unhandledRejection', notice)
    process.on('removeListener', listenAgain)
  }

  function leave(): void {
    process.off('removeListener', listenAgain)
    process.off('uncaughtException', notice)
    process.off('unhandledRejection', notice)
    process.off('exit', noticeExit)
  }

  /** Foreign code that removes all listeners of the process means others than these. */
  function listenAgain(event: string | symbol, listener: unknown): void {
    if (listener !== notice && listener !== noticeExit) return
    leave()
    // After whoever removes them is through with it.
    queueMicrotask(listen)
    log.warn({ event: String(event) }, 'listeners of the process were removed, and are back')
  }

  return {
    start({ isContained }) {
      if (isContained) listen()
      else process.on('exit', noticeExit)
    },
    stop: leave,
    running: () => runs,
    async execute(running) {
      const named: NamedRun = {
        name: running.run.name,
        runId: running.run.id,
        timeoutMs: running.job.timeoutMs,
        owner,
        abort: running.abort,
        payload: running.payload,
        isOver: false,
        strays: 0,
      }
      runs.add(named)
      options.onStart?.(named)
      try {
        return await currentRun.run(named, options.execute, running)
      } finally {
        named.isOver = true
        runs.delete(named)
      }
    },
  }
}

/** Foreign, and nobody stands between this and the end of the process. */
function toCrash(error: unknown, payload: unknown): JobError {
  const text = 'An error that the handler left behind'
  try {
    const { message } = describeError(error, payload)
    const retryable = !(error instanceof JobError) || error.retryable
    return new JobError(HANDLER_CRASHED, `${text}: ${message}`, { cause: error, retryable })
  } catch {
    return new JobError(HANDLER_CRASHED, text)
  }
}

/** The run in whose name code is being executed, of whichever worker of this process. */
export function findCurrentRun(): RunHere | undefined {
  return currentRun.getStore()
}

/** The names and ids of runs, for a line of the log. */
export function listRuns(runs: Iterable<RunHere>): Pick<RunHere, 'name' | 'runId'>[] {
  return [...runs].map(({ name, runId }) => ({ name, runId }))
}

/** What is thrown is foreign, and a logger that throws here would end the process. */
export function logForeignError(
  log: ContainedLog,
  level: 'error' | 'fatal',
  fields: object,
  error: unknown,
  line: string,
): void {
  // Not the error itself: a logger may write all of a list, or read what throws.
  log[level]({ ...fields, err: toLoggedError(describeError(error)) }, line)
}
