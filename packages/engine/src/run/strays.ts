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

/** Handles errors that nobody caught, in a process that runs handlers. */
export interface Strays {
  /** Without `isContained` it only reports which run ended the process. */
  start(options: { isContained: boolean }): void
  stop(): void
  /** Calls the handler in an async context that names its run, so that stray errors can be traced to it. */
  execute: Execute
  /** The runs whose handlers are under way. */
  running(): Iterable<RunHere>
}

/** The code of a run whose handler left an error that nobody caught. */
const HANDLER_CRASHED = 'handler_crashed'

/** Stops logging a handler that goes on leaving errors behind. */
const MAX_LINES_OF_A_RUN = 10

/**
 * One for all workers of a process, so that each can tell another's runs from code that belongs to none. The context
 * follows promises, timers and streams; an emitter or a pool calls back in the context of whoever created it.
 */
const currentRun = new AsyncLocalStorage<NamedRun>()

/**
 * Catches rejections and exceptions that nobody caught, which would make Node end the process and all runs in it. The run
 * that caused one ends, and the others go on. An observer's stray error ends no run. When no run can be named, the process
 * is in an unknown state, and the caller has to end it.
 */
export function createStrays(options: {
  log: ContainedLog
  execute: Execute
  /** Called before a handler is. */
  onStart?: ((run: RunHere) => void) | undefined
  /** Called with an error that belongs to no run. */
  onUnnamed: (error: unknown) => void
}): Strays {
  const { log, onUnnamed } = options
  const owner = {}
  const runs = new Set<NamedRun>()

  function notice(error: unknown): void {
    const observerLog = findObserverLog()
    if (observerLog !== undefined) {
      // Another worker of this process reports its own observers.
      if (observerLog === log) complainOfObserver(log, error)
      return
    }
    const run = currentRun.getStore()
    if (run === undefined) return onUnnamed(error)
    // A run of another worker in this process, which handles it.
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

  /** Reports which run ended the process. After 'exit' nobody can. */
  function noticeExit(code: number): void {
    const run = currentRun.getStore()
    if (run !== undefined && run.owner !== owner) return
    const by = run === undefined ? {} : { name: run.name, runId: run.runId }
    // A handler that exits with 0 would tell the supervisor that all is well.
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
    // Synchronous: at this point Node writes nothing else.
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

  /** Puts the listeners back when foreign code removes all listeners of the process. */
  function listenAgain(event: string | symbol, listener: unknown): void {
    if (listener !== notice && listener !== noticeExit) return
    leave()
    // After the foreign code has removed all of them.
    queueMicrotask(listen)
    log.warn(
      { event: String(event) },
      'something removed the process listeners of the worker, which added them again',
    )
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

/** Describes a stray error. It must not throw: nothing would catch that. */
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

/** The run whose async context is current, of any worker of this process. */
export function findCurrentRun(): RunHere | undefined {
  return currentRun.getStore()
}

/** The names and ids of runs, for a log line. */
export function listRuns(runs: Iterable<RunHere>): Pick<RunHere, 'name' | 'runId'>[] {
  return [...runs].map(({ name, runId }) => ({ name, runId }))
}

/** Logs a foreign error. A logger that threw over it here would end the process. */
export function logForeignError(
  log: ContainedLog,
  level: 'error' | 'fatal',
  fields: object,
  error: unknown,
  line: string,
): void {
  // Not the error itself: a logger might write out a huge list in it, or call a getter that throws.
  log[level]({ ...fields, err: toLoggedError(describeError(error)) }, line)
}
