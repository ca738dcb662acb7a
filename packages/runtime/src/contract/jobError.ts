export interface JobErrorOptions {
  cause?: unknown
  /** Whether another attempt can help. Default true. */
  retryable?: boolean
}

/**
 * An error whose code and message are safe to store and to show: they end up in JobRun.details. Whatever
 * else a handler throws is recorded too, but with its message redacted.
 */
export class JobError extends Error {
  override readonly name = 'JobError'
  readonly code: string
  readonly retryable: boolean

  constructor(code: string, message: string, { cause, retryable = true }: JobErrorOptions = {}) {
    super(message, { cause })
    this.code = code
    this.retryable = retryable
  }
}
