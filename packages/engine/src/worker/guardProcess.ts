import { AsyncLocalStorage } from 'node:async_hooks'
import { writeSync } from 'node:fs'
import { JobError } from '../job/jobError.ts'
import { readPart } from '../values/readPart.ts'
import type { Abort } from '../run/abort.ts'
import { complainOfObserver, findObserverLog } from '../run/combineObservers.ts'
import { describeError, isJobError, toLoggedError } from '../run/describeError.ts'
import type { RunResult } from '../run/executeRun.ts'
import type { Execute, OwnedExecution } from '../run/performRun.ts'
import type { Cancellations } from '../run/cancellations.ts'
import { createWatchdog } from '../run/watchdog.ts'
import type { ContainedLog } from '../database/containedLog.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import type { WorkerOptions } from './workerOptions.ts'

/*
 * A stray error is an unhandled rejection or an uncaught exception. Node would end the process for it, with all runs in it. Instead:
 *
 *   its handler's run is under way   That run ends as failed with HANDLER_CRASHED, and the others go on.
 *   its handler's run has ended      It is logged.
 *   an observer left it              It is logged. No run ends.
 *   neither is known                 The process is in an unknown state: the worker stops, and the process ends.
 */

/** Keeps a run from ending the process with all other runs, and ends the process if its state is unknown. */
export interface ProcessGuard {
  /** Calls the handler in this process, in an async context that names its run, so that stray errors can be traced to it. */
  execute(execution: OwnedExecution, execute: Execute): Promise<RunResult>
  /** Whether the worker stops because of an error that belongs to no run. */
  isFailing(): boolean
  start(): void
  /** Leaves uncaught errors and blocked loops to the host. */
  stop(): Promise<void>
}

/** The code of a run whose handler left a stray error. */
const HANDLER_CRASHED = 'handler_crashed'

/** Stops logging a handler that goes on leaving errors behind. */
const MAX_LINES_OF_A_RUN = 10

/**
 * The run whose handler has led to the code that runs now. It follows promises, timers and streams; an emitter or a pool
 * calls back in the context of the code that created it. One for all workers of a process, so that each can distinguish another's
 * runs from code that belongs to none.
 */
const currentRun = new AsyncLocalStorage<Abort>()

/** How long runs may finish in a process that is in an unknown state. */
const FATAL_DRAIN_MS = 5_000
/** Maximum time to stop. Then the process ends, even with runs under way. */
const FATAL_TIMEOUT_MS = 30_000
const WATCHDOG_MARGIN_MS = 10_000
/** Logs no more errors while the process ends. */
const MAX_OTHERS = 10

/** Traces stray errors of one worker to the runs that left them. See the header of this file. */
export function guardProcess(
  options: Pick<
    WorkerOptions<[], never>,
    'uncaught' | 'watchdog' | 'onFatal' | 'drainTimeoutMs'
  > & {
    /** Default 10 s. */
    marginMs?: number | undefined
    log: ContainedLog
    cancellations: Pick<Cancellations, 'aborts'>
    stopWorker: (options: { drainTimeoutMs: number }) => Promise<void>
  },
): ProcessGuard {
  const { log, cancellations, marginMs = WATCHDOG_MARGIN_MS } = options
  const worker = Symbol('worker')
  let isFailing = false
  let others = 0
  const current = () => currentRun.getStore()
  const running = () => [...cancellations.aborts()].filter((run) => run.worker === worker)
  const watchdog =
    options.watchdog === false ? null : createWatchdog({ marginMs, log, current, running })

  /** The names and ids of runs, for a log line. */
  const listRuns = () => running().map(({ name, runId }) => ({ name, runId }))

  function handleStray(error: unknown): void {
    const observerLog = findObserverLog()
    if (observerLog !== undefined) {
      // Every worker of this process gets the error; the one with that log reports it.
      if (observerLog === log) complainOfObserver(log, error)
      return
    }
    const run = currentRun.getStore()
    if (run === undefined) return failOver(error)
    // Another worker of this process gets the error, too, and handles it.
    if (run.worker !== worker) return
    logStray(run, error)
    if (!run.isOver) run.abortAtOnce(toCrash(error))
  }

  function logStray(run: Abort, error: unknown): void {
    run.strays++
    if (run.strays > MAX_LINES_OF_A_RUN) return
    const line = run.isOver
      ? 'a handler left an error behind, after its run had ended'
      : 'a handler left an error behind, and its run ends'
    logForeignError('error', { name: run.name, runId: run.runId }, error, line)
  }

  /** Logs a foreign error. A logger that threw over it here would end the process. */
  function logForeignError(
    level: 'error' | 'fatal',
    fields: object,
    error: unknown,
    line: string,
  ): void {
    // Not the error itself: a logger might write out a huge list in it, or call a getter that throws.
    log[level]({ ...fields, err: toLoggedError(describeError(error)) }, line)
  }

  /** Reports which run ended the process, or which runs end with it. */
  function handleExit(code: number): void {
    const exiting = currentRun.getStore()
    if (exiting !== undefined) {
      // Another worker of this process reports it.
      if (exiting.worker !== worker) return
      // After an exit with 0 the supervisor would take the handler's exit for a success.
      if (code === 0) process.exitCode = 1
      const { name, runId } = exiting
      writeLastLine({ name, runId }, 'a handler ended the process', code)
    } else if (running().length > 0) {
      writeLastLine({}, 'the process ends while runs are under way', code)
    }
  }

  /** Writes a line like pino's, but at once: after 'exit' Node writes nothing that waits. */
  function writeLastLine(fields: object, msg: string, code: number): void {
    const line = {
      level: 60,
      time: Date.now(),
      pid: process.pid,
      ...log.bindings?.(),
      ...fields,
      exitCode: process.exitCode ?? code,
      runs: listRuns(),
      msg,
    }
    writeSync(2, `${JSON.stringify(line)}\n`)
  }

  function addListeners(): void {
    for (const output of [process.stdout, process.stderr]) output.on('error', loseLine)
    process.on('exit', handleExit)
    process.on('uncaughtException', handleStray)
    process.on('unhandledRejection', handleStray)
    process.on('removeListener', addRemovedAgain)
  }

  function removeListeners(): void {
    // First: it must not add the others again.
    process.off('removeListener', addRemovedAgain)
    for (const output of [process.stdout, process.stderr]) output.off('error', loseLine)
    process.off('uncaughtException', handleStray)
    process.off('unhandledRejection', handleStray)
    process.off('exit', handleExit)
  }

  /** Adds the listeners again when foreign code removes all listeners of the process. */
  function addRemovedAgain(event: string | symbol, listener: unknown): void {
    if (listener !== handleStray && listener !== handleExit) return
    removeListeners()
    // After the foreign code has removed all of them.
    queueMicrotask(addListeners)
    log.warn(
      { event: String(event) },
      'something removed the process listeners of the worker, which added them again',
    )
  }

  /** Stops the worker and ends the process: any run may have caused the error, and all that follows may be wrong. */
  function failOver(reason: unknown): void {
    const fields = { runs: listRuns() }
    if (isFailing) {
      // A logger may itself leave an error for each line.
      if (++others > MAX_OTHERS) return
      logForeignError('error', fields, reason, 'another error that belongs to no run')
      return
    }
    isFailing = true
    logForeignError('fatal', fields, reason, 'an error belongs to no run: the worker stops')
    void endProcess(reason)
  }

  async function endProcess(reason: unknown): Promise<void> {
    const drainTimeoutMs = Math.min(options.drainTimeoutMs ?? FATAL_DRAIN_MS, FATAL_DRAIN_MS)
    try {
      await settlesWithin(options.stopWorker({ drainTimeoutMs }), FATAL_TIMEOUT_MS)
    } catch (error) {
      log.error({ err: error }, 'the worker could not be stopped')
    }
    removeListeners()
    if (options.onFatal) options.onFatal(reason)
    else if (!isAnybodyListening()) process.exit(1)
  }

  return {
    execute(execution, execute) {
      const { abort } = execution
      abort.worker = worker
      watchdog?.watch(abort)
      return currentRun.run(abort, execute, execution)
    },
    isFailing: () => isFailing,
    start() {
      if (options.uncaught !== 'leave') addListeners()
      // It only reports which run ended the process.
      else process.on('exit', handleExit)
    },
    async stop() {
      removeListeners()
      await watchdog?.stop()
    },
  }
}

/** Whether the host has listeners of uncaught errors: then these decide whether the process lives. */
function isAnybodyListening(): boolean {
  return (
    process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') > 0
  )
}

/**
 * The reader of a standard stream is gone. As an uncaught error this would end the run that has written the line, and each
 * line about that would be the next error.
 */
function loseLine(): void {}

/** Describes a stray error. It must not throw: nothing would catch that. */
function toCrash(error: unknown): JobError {
  const message = `An error that the handler left behind: ${describeError(error).message}`
  const retryable = !isJobError(error) || readPart(error, 'retryable') !== false
  return new JobError(HANDLER_CRASHED, message, { cause: error, retryable })
}
