/**
 * What stops a run: an AbortController that costs nothing until somebody asks for its signal. A class, since every
 * run has one: an object with getters of its own takes thirty times as long to make.
 */
export class Abort {
  isAborted = false
  reason: unknown = undefined
  /** The handler is not waited for. */
  isAtOnce = false
  #controller: AbortController | null = null
  #listener: (() => void) | null = null

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.isAborted) this.#controller.abort(this.reason)
    return this.#controller.signal
  }

  /** The first reason counts. */
  abort(reason: unknown): void {
    if (this.isAborted) return
    this.isAborted = true
    this.reason = reason
    this.#controller?.abort(reason)
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
