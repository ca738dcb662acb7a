import { randomUUID } from 'node:crypto'
import type { ContainedLog } from '../database/containedLog.ts'
import { expectModule } from '../arguments/worker.ts'
import { JobError } from '../job/jobError.ts'
import type { IsolationLimits, Job } from '../job/defineJob.ts'
import { LEVELS } from '../job/logger.ts'
import { createMask, type Mask } from '../values/maskText.ts'
import type { Schema } from '../database/schema.ts'
import { createProgress } from '../run/progress.ts'
import { describeError } from '../run/describeError.ts'
import type { Execution, RunResult } from '../run/executeRun.ts'
import { ChildCrash, startChild, type Child, type ChildLog } from './startChild.ts'

export interface Isolation {
  /** Does what executeRun does, in a child process. */
  execute(execution: Execution): Promise<RunResult>
  /** Ends all child processes. */
  stop(): Promise<void>
}

interface Slot {
  name: string
  child: Child
  isBusy: boolean
  runs: number
  /** Set after a run, until it is known whether the process can take another. */
  rest: Promise<void> | null
  /** Set while it waits for the next run of its job. */
  timer: NodeJS.Timeout | undefined
}

/**
 * Carries runs out in child processes. Each carries out one at a time, and takes the next run of its job if the last one
 * succeeded. Lock, claim and settling stay with this process, and its fence decides what a run may commit.
 * @throws ArgumentError when a job is isolated and `handlersModule` is missing
 */
export function createIsolation(options: {
  /** A URL. */
  handlersModule: string | undefined
  jobs: readonly Job[]
  databaseUrl: string
  schema: Schema
  workerId: string
  log: ContainedLog
  /** How long a process waits for the next run of its job: waiting costs memory, a new start part of a second. Default 30,000. */
  idleMs?: number
  /** How many runs a process carries out before it is replaced: what handlers leave behind adds up. Default 1,000. */
  maxRuns?: number
}): Isolation {
  const { databaseUrl, schema, workerId, log, idleMs = 30_000, maxRuns = 1_000 } = options
  expectModule(options.handlersModule, options.jobs)
  const module = options.handlersModule ?? ''
  const slots = new Set<Slot>()
  let isStopped = false

  async function take(job: Job, { memoryMb }: IsolationLimits): Promise<Slot> {
    for (;;) {
      const own = [...slots].filter(({ name }) => name === job.name)
      const waiting = own.findLast(({ timer }) => timer !== undefined)
      if (waiting !== undefined) {
        stopWaiting(waiting)
        waiting.isBusy = true
        return waiting
      }
      // A resting process is ready sooner than a new one.
      const resting = own.flatMap(({ rest }) => rest ?? [])
      if (resting.length === 0) break
      await Promise.race(resting)
    }
    const child = startChild({
      name: job.name,
      memoryMb,
      open: { module, databaseUrl, schema: schema.name, level: log.level },
      idle: toChildLog(log.child({ name: job.name })),
    })
    const slot: Slot = {
      name: job.name,
      child,
      isBusy: true,
      runs: 0,
      rest: null,
      timer: undefined,
    }
    slots.add(slot)
    void child.ended.then(() => {
      slots.delete(slot)
      stopWaiting(slot)
    })
    return slot
  }

  async function putBack(slot: Slot): Promise<void> {
    slot.isBusy = false
    slot.runs++
    if (!(await slot.child.rests())) return await slot.child.kill()
    if (isStopped || slot.runs >= maxRuns) return void slot.child.close()
    // unref: the timer alone must not keep the worker's process alive.
    slot.timer = setTimeout(() => {
      stopWaiting(slot)
      void slot.child.close()
    }, idleMs).unref()
  }

  function stopWaiting(slot: Slot): void {
    clearTimeout(slot.timer)
    slot.timer = undefined
  }

  async function perform(execution: Execution, limits: IsolationLimits): Promise<RunResult> {
    const { abort, job, retriesLeft, approvedRows } = execution
    const { id, name, attempt, payload, facts } = execution.taken
    const token = randomUUID()
    // Its process adds what batches count to the run's row, and cannot write that.
    if (!facts.dryRun) await execution.write()
    const slot = await take(job, limits)
    const { child } = slot
    if (abort.isAborted) {
      await child.kill()
      throw abort.reason
    }
    const progress = createProgress((reached) => execution.keepProgress(reached))
    abort.onAbort(
      () => child.abort(token, describeReason(abort.reason)),
      () => void child.kill(),
    )
    let isReusable = false
    try {
      const result = await child.perform({
        ...toChildLog(execution.openLog()),
        onProgress: (done, total) => progress.report({ done, total }),
        request: {
          token,
          taken: { id, name, attempt, payload, facts },
          retriesLeft,
          timeoutMs: job.timeoutMs,
          guard: job.guard,
          workerId,
          approvedRows,
        },
      })
      isReusable = result.status === 'success' && !abort.isAborted
      return result
    } finally {
      abort.leave()
      await progress.stop()
      if (isReusable) slot.rest = putBack(slot).finally(() => (slot.rest = null))
      // A failed run may have left something running, so end its process with it.
      else await child.kill()
    }
  }

  return {
    async execute(execution) {
      const { abort, job } = execution
      try {
        if (abort.isAborted) throw abort.reason
        return await perform(execution, job.isolate as IsolationLimits)
      } catch (error) {
        // We killed it because it did not stop after the abort: the abort's reason counts.
        const isKilled = abort.isAborted && error instanceof ChildCrash
        return toFailure(isKilled ? abort.reason : error, createMask(job.redact))
      }
    },
    async stop() {
      isStopped = true
      await Promise.all(
        [...slots].map(async (slot) => {
          if (slot.isBusy) return await slot.child.kill()
          await slot.rest
          stopWaiting(slot)
          await slot.child.close()
        }),
      )
    },
  }
}

/** The result of a run whose child process failed it. */
function toFailure(error: unknown, mask: Mask): RunResult {
  const retryable = !(error instanceof JobError) || error.retryable
  if (!(error instanceof ChildCrash)) {
    return { status: 'failed', error: describeError(error, mask), retryable, details: {} }
  }
  // `message` is our own sentence; what the process printed is foreign.
  const { message, printed } = error
  const described = printed === null ? null : describeError(printed, mask)
  return {
    status: 'failed',
    error: {
      ...described,
      code: 'handler_crashed',
      message: described === null ? message : `${message}: ${described.message}`,
    },
    retryable,
    details: {},
  }
}

function describeReason(reason: unknown): { code: string; message: string; retryable: boolean } {
  const { code, message } = describeError(reason)
  return { code, message, retryable: !(reason instanceof JobError) || reason.retryable }
}

const LEVEL_NAMES = new Map(
  Object.entries(LEVELS).map(([name, level]) => [level, name as keyof typeof LEVELS]),
)

/** Writes what a child process logs and prints into the worker's log. */
function toChildLog(log: ContainedLog): ChildLog {
  return {
    onLog(line) {
      const { level, msg, ...fields } = parseLine(line)
      if (fields.err) fields.err = reviveError(fields.err)
      const method = LEVEL_NAMES.get(level as 30) ?? 'info'
      log[method](fields, ...(typeof msg === 'string' ? [msg] : []))
    },
    onPrinted: (stream, text) => log.info({ stream, text }, 'isolated run printed'),
  }
}

/** Makes an error from its parts, so that a logger writes it like an error of this process. */
function reviveError(plain: unknown): unknown {
  const { type, message, stack, ...more } = plain as Record<string, unknown>
  if (typeof type !== 'string' || typeof message !== 'string') return plain
  const error = Object.assign(new Error(message), more, { name: type, stack })
  // pino takes an error's type from its constructor.
  return Object.defineProperty(error, 'constructor', { value: undefined })
}

function parseLine(line: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>
  } catch {
    // Not JSON: log the line as it is.
  }
  return { msg: line }
}
