import { isAbsolute } from 'node:path'
import { randomUUID } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Logger } from 'pino'
import { JobError, type IsolationLimits, type Job } from '../../contract/index.ts'
import { createProgress } from '../createProgress.ts'
import { describeError } from '../describeError.ts'
import { ABORT_GRACE_MS, type ExecuteOptions, type RunResult } from '../executeRun.ts'
import type { NewRun } from '../runs.ts'
import { ChildCrash, startChild, type Child, type ChildLog } from './startChild.ts'

export interface Isolation {
  /** Like executeRun, in a process of the run's own. */
  execute(options: ExecuteOptions): Promise<RunResult>
  /** Ends all processes. */
  stop(): Promise<void>
}

/** A process that waits for the next run of its job costs memory, and to start one takes a part of a second. */
const IDLE_MS = 30_000
/** What handlers leave behind adds up. */
const MAX_RUNS = 1_000

interface Slot {
  child: Child
  runs: number
  timer: NodeJS.Timeout | undefined
}

/**
 * Carries runs out in child processes: each has one at a time, and is used again for the next run of its job if the
 * last one succeeded. Lock, claim and settling stay with this process, and what a run may commit is fenced as ever.
 * @throws TypeError when a job is isolated and no module is named, or `handlersModule` is no place of a module
 */
export function createIsolation(options: {
  handlersModule: URL | string | undefined
  jobs: readonly Job[]
  databaseUrl: string
  workerId: string
  log: Logger
}): Isolation {
  const { databaseUrl, workerId, log } = options
  const module = resolveModule(options.handlersModule, options.jobs)
  const slots = new Set<Slot>()
  const idle = new Map<string, Slot[]>()
  let isStopped = false

  function take(job: Job, { memoryMb }: IsolationLimits): Slot {
    const waiting = idle.get(job.name)?.pop()
    if (waiting !== undefined) {
      clearTimeout(waiting.timer)
      return waiting
    }
    const child = startChild({
      name: job.name,
      memoryMb,
      open: { module, databaseUrl, level: log.level },
      idle: toChildLog(log.child({ name: job.name })),
    })
    const slot: Slot = { child, runs: 0, timer: undefined }
    slots.add(slot)
    void child.ended.then(() => {
      slots.delete(slot)
      forget(job.name, slot)
    })
    return slot
  }

  function putBack(name: string, slot: Slot): void {
    slot.runs++
    if (isStopped || slot.runs >= MAX_RUNS) return void slot.child.close()
    // Short of a run nobody would wait for its end.
    slot.timer = setTimeout(() => {
      forget(name, slot)
      void slot.child.close()
    }, IDLE_MS).unref()
    const waiting = idle.get(name)
    if (waiting) waiting.push(slot)
    else idle.set(name, [slot])
  }

  function forget(name: string, slot: Slot): void {
    clearTimeout(slot.timer)
    const waiting = idle.get(name)
    const place = waiting?.indexOf(slot) ?? -1
    if (place >= 0) waiting?.splice(place, 1)
  }

  async function perform(execution: ExecuteOptions, limits: IsolationLimits): Promise<RunResult> {
    const { abort, job, payload, approvedRows } = execution
    const run = execution.run as NewRun
    const token = randomUUID()
    const slot = take(job, limits)
    const { child } = slot
    const progress = createProgress(execution.keepProgress)
    let timer: NodeJS.Timeout | undefined
    abort.onAbort(() => {
      child.abort(token, describeReason(abort.reason))
      timer = setTimeout(() => void child.kill(), ABORT_GRACE_MS)
    })
    let isReusable = false
    try {
      const result = await child.perform({
        ...toChildLog(execution.openLog()),
        onProgress: (done, total) => progress.report({ done, total }),
        request: {
          token,
          run: {
            ...run,
            startedAt: run.startedAt.getTime(),
            scheduledFor: run.scheduledFor?.getTime() ?? null,
          },
          payload,
          timeoutMs: job.timeoutMs,
          guard: job.guard,
          workerId,
          approvedRows,
        },
      })
      isReusable = result.status === 'success' && !abort.isAborted
      return result
    } finally {
      clearTimeout(timer)
      abort.onAbort(null)
      await progress.stop()
      if (isReusable) putBack(job.name, slot)
      // Nothing of a run goes on when it has ended.
      else await child.kill()
    }
  }

  return {
    async execute(execution) {
      const { abort, job } = execution
      const timer = setTimeout(
        () => abort.abort(new JobError('timeout', `The run took longer than ${job.timeoutMs} ms`)),
        job.timeoutMs,
      )
      try {
        if (abort.isAborted) throw abort.reason
        return await perform(execution, job.isolate as IsolationLimits)
      } catch (error) {
        // One that was killed since it did not stop when it was told to.
        const isKilled = abort.isAborted && error instanceof ChildCrash
        return toFailure(isKilled ? abort.reason : error, execution.payload)
      } finally {
        clearTimeout(timer)
      }
    },
    async stop() {
      isStopped = true
      const waiting = new Set([...idle.values()].flat())
      await Promise.all(
        [...slots].map(async (slot) => {
          clearTimeout(slot.timer)
          await (waiting.has(slot) ? slot.child.close() : slot.child.kill())
        }),
      )
    },
  }
}

function resolveModule(handlersModule: URL | string | undefined, jobs: readonly Job[]): string {
  if (handlersModule === undefined) {
    const names = jobs.flatMap(({ name, isolate }) => (isolate === null ? [] : [name]))
    if (names.length === 0) return ''
    throw new TypeError(
      `${names.join(', ')}: isolated, and no module with the handlers is named; give handlersModule: new URL('./handlers.js', import.meta.url), or leave isolate out`,
    )
  }
  const text = String(handlersModule)
  if (/^(file|data):/.test(text)) return text
  if (isAbsolute(text)) return pathToFileURL(text).href
  throw new TypeError(
    `handlersModule must be a file's URL or absolute path, not "${text}"; give new URL('./handlers.js', import.meta.url)`,
  )
}

function toFailure(error: unknown, payload: unknown): RunResult {
  const retryable = !(error instanceof JobError) || error.retryable
  if (!(error instanceof ChildCrash)) {
    return { status: 'failed', error: describeError(error, payload), retryable, details: {} }
  }
  // Ours is the sentence, theirs is what may quote the payload.
  const { message, said } = error
  const told = said === null ? null : describeError(said, payload)
  return {
    status: 'failed',
    error: {
      ...told,
      code: 'handler_crashed',
      message: told === null ? message : `${message}: ${told.message}`,
    },
    retryable,
    details: {},
  }
}

function describeReason(reason: unknown): { code: string; message: string; retryable: boolean } {
  const { code, message } = describeError(reason)
  return { code, message, retryable: !(reason instanceof JobError) || reason.retryable }
}

const LEVELS = new Map([
  [10, 'trace'],
  [20, 'debug'],
  [30, 'info'],
  [40, 'warn'],
  [50, 'error'],
  [60, 'fatal'],
] as const)

/** Writes what a process says into the worker's log. */
function toChildLog(log: Logger): ChildLog {
  return {
    onLog(line) {
      const { level, msg, ...fields } = parseLine(line)
      if (fields.err) fields.err = reviveError(fields.err)
      const method = LEVELS.get(level as 30) ?? 'info'
      log[method](fields, typeof msg === 'string' ? msg : undefined)
    },
    onPrinted: (stream, text) => log.info({ stream, text }, 'isolated run printed'),
  }
}

/** So that a logger tells it as it tells one of its own process. */
function reviveError(told: unknown): unknown {
  const { type, message, stack, ...more } = told as Record<string, unknown>
  if (typeof type !== 'string' || typeof message !== 'string') return told
  const error = Object.assign(new Error(message), more, { name: type, stack })
  // By which pino names it.
  return Object.defineProperty(error, 'constructor', { value: undefined })
}

function parseLine(line: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(line)
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>
  } catch {
    // Whatever it is, it is shown.
  }
  return { msg: line }
}
