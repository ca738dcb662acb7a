import inspector from 'node:inspector'
import { Worker as Thread } from 'node:worker_threads'
import type { ContainedLog } from '../database/containedLog.ts'
import type { Abort } from './abort.ts'
import { CURRENT_RUN, SHARED, WATCHDOG_PROGRAM } from './watchdogThread.ts'

const BEAT_MS = 1_000
/** After this many beats without a run the thread ends: it costs memory. */
const IDLE_BEATS = 60
const TEXT_BYTES = 16_384
/** The thread needs less than this; without limits Node would give it more. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 0.5 }

/**
 * Ends this process when its event loop has been blocked for longer than any of its runs may take: no other code in it
 * could. Before that it writes the runs and the blocking stack to standard error. A thread watches, from the first run
 * until there has been none for a minute.
 */
export function createWatchdog(options: {
  /** How long beyond the longest time-out the loop may be blocked. */
  marginMs: number
  log: ContainedLog
  /** The runs whose handlers are called in this process. */
  running: () => Iterable<Abort>
  /** The run whose async context is current, of any worker of this process. */
  current: () => Abort | undefined
}) {
  const { marginMs, log, running, current } = options
  let thread: Thread | null = null
  // New memory for each thread: the one before may not have ended yet.
  let numbers = new Int32Array(new SharedArrayBuffer(0))
  let text = Buffer.from(new SharedArrayBuffer(0))
  let timer: NodeJS.Timeout | undefined
  let idleBeats = 0
  let stopped = false

  function start(): void {
    const memory = new SharedArrayBuffer(4 * SHARED.NUMBERS + TEXT_BYTES)
    numbers = new Int32Array(memory, 0, SHARED.NUMBERS)
    text = Buffer.from(memory, 4 * SHARED.NUMBERS)
    noticeDebugger()
    thread = new Thread(WATCHDOG_PROGRAM, {
      eval: true,
      workerData: { memory, marginMs, line: { ...log.bindings?.(), pid: process.pid } },
      env: {},
      execArgv: [],
      resourceLimits: RESOURCE_LIMITS,
      trackUnmanagedFds: false,
    })
    thread.unref()
    thread.on('error', (error: unknown) => log.warn({ err: error }, 'the watchdog has failed'))
    // Not named when it is gone: another worker of this process may have set it since.
    Object.defineProperty(globalThis, CURRENT_RUN, {
      configurable: true,
      value: () => {
        const run = current()
        return run && { name: run.name, runId: run.runId }
      },
    })
    timer = setInterval(beat, BEAT_MS).unref()
  }

  function beat(): void {
    Atomics.add(numbers, SHARED.BEAT, 1)
    noticeDebugger()
    let longestMs = 0
    numbers[SHARED.TEXT_LENGTH] = 0
    for (const run of running()) {
      longestMs = Math.max(longestMs, run.timeoutMs)
      note(run)
    }
    // Keep the last limit without runs: an ended run may have left something behind that blocks.
    if (longestMs > 0) numbers[SHARED.LIMIT_MS] = longestMs
    idleBeats = longestMs === 0 ? idleBeats + 1 : 0
    if (idleBeats >= IDLE_BEATS) void end()
  }

  function noticeDebugger(): void {
    numbers[SHARED.IS_DEBUGGED] = inspector.url() === undefined ? 0 : 1
  }

  /** Notes a run's name and id for the thread. Once the text is full it drops further ones until the next beat. */
  function note({ name, runId }: Abort): void {
    const length = numbers[SHARED.TEXT_LENGTH] as number
    if (length + name.length + runId.length + 2 > TEXT_BYTES) return
    numbers[SHARED.TEXT_LENGTH] = length + text.write(`${name} ${runId}\n`, length, 'latin1')
  }

  async function end(): Promise<void> {
    const ending = thread
    if (ending === null) return
    thread = null
    clearInterval(timer)
    idleBeats = 0
    Reflect.deleteProperty(globalThis, CURRENT_RUN)
    const exited = new Promise((resolve) => ending.once('exit', resolve))
    ending.ref()
    Atomics.store(numbers, SHARED.IS_STOPPED, 1)
    Atomics.notify(numbers, SHARED.IS_STOPPED)
    await exited
  }

  return {
    /** Call it before a handler is called. */
    watch(run: Abort) {
      if (stopped) return
      if (thread === null) start()
      if (run.timeoutMs > (numbers[SHARED.LIMIT_MS] as number)) {
        numbers[SHARED.LIMIT_MS] = run.timeoutMs
      }
      note(run)
    },
    /** Resolves once its thread has ended. */
    async stop() {
      stopped = true
      await end()
    },
  }
}
