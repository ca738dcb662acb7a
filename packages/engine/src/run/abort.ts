import { AsyncLocalStorage } from 'node:async_hooks'
import { JobError } from '../job/jobError.ts'

/** How long an aborted handler may take to notice, before the run ends without it. */
export const ABORT_GRACE_MS = 5_000

/**
 * Names a run and aborts it: an AbortController that costs nothing until its signal is read. It holds no payload, so that timers and
 * promises that a handler leaves behind may keep it in memory. It is a class because every run has one, and an object with its own getters takes
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
  /** When its run has taken too long, by `performance.now()`. */
  endsAt = Infinity
  /** Resolves once the handler has ended. Null: nothing waits for that. */
  over: PromiseWithResolvers<void> | null = null
  isAborted = false
  /** The handler has read its signal, so it may end because the run was aborted. */
  isSignalRead = false
  /** The worker's own reason. Handlers see a copy as `signal.reason`, which they may change. */
  reason: unknown = undefined
  /** The run ends without waiting for the handler. */
  isAtOnce = false
  #controller: AbortController | null = null
  /** Calls listeners in the async context of the run that read the signal, so that their errors count as that run's. */
  #within: Within = callHere
  #onAborted: (() => void) | null = null
  #giveUp: ((reason: unknown) => void) | null = null
  #grace: NodeJS.Timeout | undefined
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
    this.#beginGrace()
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

  /**
   * Calls `onAborted` when the run is aborted, or at once if it is already; and `giveUp` with the reason if `leave` was not called
   * within ABORT_GRACE_MS after that. Both replace those before.
   */
  onAbort(onAborted: (() => void) | null, giveUp: (reason: unknown) => void): void {
    this.leave()
    this.#onAborted = onAborted
    this.#giveUp = giveUp
    if (this.isAborted) this.#beginGrace()
  }

  leave(): void {
    clearTimeout(this.#grace)
    this.#onAborted = null
    this.#giveUp = null
  }

  #beginGrace(): void {
    if (this.#giveUp === null) return
    this.#grace = setTimeout(this.#giveUp, this.isAtOnce ? 0 : ABORT_GRACE_MS, this.reason)
    this.#onAborted?.()
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
