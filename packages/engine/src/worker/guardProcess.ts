import { executeRun } from '../run/executeRun.ts'
import type { Execute } from '../run/performRun.ts'
import { createStrays, listRuns, logForeignError } from '../run/strays.ts'
import { createWatchdog } from '../run/watchdog.ts'
import type { ContainedLog } from '../store/containedLog.ts'
import { settlesWithin } from '../store/settlesWithin.ts'
import type { WorkerOptions } from './workerOptions.ts'

/** Keeps a run from ending the process with all other runs, and ends the process where nobody can say what state it is in. */
export interface ProcessGuard {
  /** Calls a handler in this process. */
  execute: Execute
  /** Whether the worker stops because of an error that belongs to no run. */
  isFailing(): boolean
  start(): void
  /** Leaves uncaught errors and blocked loops to the host. */
  stop(): Promise<void>
}

/** How long runs may finish in a process that is in an unknown state. */
const FATAL_DRAIN_MS = 5_000
/** After so long the process ends, even with runs under way. */
const FATAL_TIMEOUT_MS = 30_000
const WATCHDOG_MARGIN_MS = 10_000
/** Logs no more errors while the process ends. */
const MAX_OTHERS = 10

export function guardProcess(
  options: Pick<
    WorkerOptions<[], never>,
    'uncaught' | 'watchdog' | 'onFatal' | 'drainTimeoutMs'
  > & {
    /** Default 10 s. */
    marginMs?: number | undefined
    log: ContainedLog
    stopWorker: (options: { drainTimeoutMs: number }) => Promise<void>
  },
): ProcessGuard {
  const { log, marginMs = WATCHDOG_MARGIN_MS } = options
  let isFailing = false
  let others = 0
  const strays = createStrays({
    log,
    execute: executeRun,
    onStart: (run) => watchdog?.watch(run),
    onUnnamed: failOver,
  })
  const watchdog =
    options.watchdog === false ? null : createWatchdog({ marginMs, log, running: strays.running })

  /** Stops the worker and ends the process: any run may have caused the error, and all that follows may be wrong. */
  function failOver(reason: unknown): void {
    const runs = listRuns(strays.running())
    if (isFailing) {
      // A logger may itself leave an error for each line.
      if (++others > MAX_OTHERS) return
      logForeignError(log, 'error', { runs }, reason, 'another error that belongs to no run')
      return
    }
    isFailing = true
    logForeignError(log, 'fatal', { runs }, reason, 'an error belongs to no run: the worker stops')
    void endProcess(reason)
  }

  async function endProcess(reason: unknown): Promise<void> {
    const drainTimeoutMs = Math.min(options.drainTimeoutMs ?? FATAL_DRAIN_MS, FATAL_DRAIN_MS)
    try {
      await settlesWithin(options.stopWorker({ drainTimeoutMs }), FATAL_TIMEOUT_MS)
    } catch (error) {
      log.error({ err: error }, 'the worker could not be stopped')
    }
    strays.stop()
    if (options.onFatal) options.onFatal(reason)
    else if (!isAnybodyListening()) process.exit(1)
  }

  return {
    execute: strays.execute,
    isFailing: () => isFailing,
    start: () => strays.start({ isContained: options.uncaught !== 'leave' }),
    async stop() {
      strays.stop()
      await watchdog?.stop()
    },
  }
}

/** Whether others listen to uncaught errors: then they decide whether the process lives. */
function isAnybodyListening(): boolean {
  return (
    process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') > 0
  )
}
