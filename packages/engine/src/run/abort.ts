import { AsyncLocalStorage } from 'node:async_hooks'
import { JobError } from '../job/jobError.ts'

/**
 * Stops a run, and names it: an AbortController that costs nothing until somebody asks for its signal. It holds no payload, so
 * what a handler leaves behind may keep it. It is a class because every run has one, and an object with its own getters takes
 * thirty times as long to make.
 */
export class Abort {
  readonly name: string
  readonly runId: string
  readonly timeoutMs: number
  /** The worker that calls the run's handler in this process. Null: none does so. */
  worker: symbol | null = null
  /** The handler has ended. */
  isOver = false
  /** How many errors the handler has left behind. */
  strays = 0
  isAborted = false
  /** The worker's own reason. Handlers see a copy as `signal.reason`, which they may change. */
  reason: unknown = undefined
  /** The run ends without waiting for the handler. */
  isAtOnce = false
  #controller: AbortController | null = null
  /** Calls listeners in the async context of the run that asked for the signal, so that it is blamed for what they throw. */
  #within: Within = callHere
  #listener: (() => void) | null = null
  #endSoonReason: JobError | null = null
  #endSoonListener: ((reason: JobError) => void) | null = null

  constructor(name: string, runId: string, timeoutMs: number) {
    this.name = name
    this.runId = runId
    this.timeoutMs = timeoutMs
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      this.#within = AsyncLocalStorage.snapshot()
      if (this.isAborted) this.#controller.abort(copyOf(this.reason))
    }
    return this.#controller.signal
  }

  /** The first reason counts. */
  abort(reason: unknown): void {
    if (this.isAborted) return
    this.isAborted = true
    this.reason = reason
    const controller = this.#controller
    if (controller) this.#within(() => controller.abort(copyOf(reason)))
    this.#listener?.()
  }

  /** Aborts without a grace: the handler is past noticing a signal. */
  abortAtOnce(reason: unknown): void {
    this.isAtOnce ||= !this.isAborted
    this.abort(reason)
  }

  /** Ends a durable run after the steps that it is calling, so that another worker continues its work. Other runs continue. */
  endSoon(reason: JobError): void {
    this.#endSoonReason = reason
    this.#endSoonListener?.(reason)
  }

  onEndSoon(listener: (reason: JobError) => void): void {
    this.#endSoonListener = listener
    if (this.#endSoonReason) listener(this.#endSoonReason)
  }

  /** Calls back when it is aborted, or at once if it is already. A new listener replaces the one before. */
  onAbort(listener: (() => void) | null): void {
    this.#listener = listener
    if (this.isAborted) listener?.()
  }
}

type Within = (call: () => void) => void
const callHere: Within = (call) => call()

/** A copy for each run: one reason may stop many, and a handler may change it. */
function copyOf(reason: unknown): unknown {
  if (!(reason instanceof JobError)) return reason
  const { code, message, cause, retryable, details } = reason
  return new JobError(code, message, { cause, retryable, details: { ...details } })
}
