import { AsyncLocalStorage } from 'node:async_hooks'
import { JobError } from '../index.ts'

/**
 * What stops a run: an AbortController that costs nothing until somebody asks for its signal. A class, since every
 * run has one: an object with getters of its own takes thirty times as long to make.
 */
export class Abort {
  isAborted = false
  /** The worker's own: handlers are handed `signal.reason`, which they may change. */
  reason: unknown = undefined
  /** The handler is not waited for. */
  isAtOnce = false
  #controller: AbortController | null = null
  /** Calls listeners in the name of the run that asked for the signal: what they throw is its own. */
  #within: Within = (call) => call()
  #listener: (() => void) | null = null

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

  /** There is nothing to wait for: whoever runs is beyond noticing. */
  abortAtOnce(reason: unknown): void {
    this.isAtOnce ||= !this.isAborted
    this.abort(reason)
  }

  /** Calls back once it is aborted, at once if it is already. There is one listener at most. */
  onAbort(listener: (() => void) | null): void {
    this.#listener = listener
    if (this.isAborted) listener?.()
  }
}

type Within = (call: () => void) => void

/** Many runs may be stopped for one reason. */
function copyOf(reason: unknown): unknown {
  if (!(reason instanceof JobError)) return reason
  const { code, message, cause, retryable, details } = reason
  return new JobError(code, message, { cause, retryable, details: { ...details } })
}
