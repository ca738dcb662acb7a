/** What stops a run: an AbortController that costs nothing until somebody asks for its signal. */
export interface Abort {
  readonly isAborted: boolean
  readonly reason: unknown
  readonly signal: AbortSignal
  /** The first reason counts. */
  abort(reason: unknown): void
  /** Calls back once it is aborted, at once if it is already. There is one listener at most. */
  onAbort(listener: (() => void) | null): void
}

export function createAbort(): Abort {
  let controller: AbortController | null = null
  let listener: (() => void) | null = null
  let isAborted = false
  let reason: unknown

  return {
    get isAborted() {
      return isAborted
    },
    get reason() {
      return reason
    },
    get signal() {
      controller ??= new AbortController()
      if (isAborted) controller.abort(reason)
      return controller.signal
    },
    abort(first) {
      if (isAborted) return
      isAborted = true
      reason = first
      controller?.abort(reason)
      listener?.()
    },
    onAbort(next) {
      listener = next
      if (isAborted) listener?.()
    },
  }
}
