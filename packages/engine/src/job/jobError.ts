import { checkJobError } from '../arguments/errors.ts'
import type { Details } from './handler.ts'

export interface JobErrorOptions {
  cause?: unknown
  /** Whether another attempt can help. Default true. */
  retryable?: boolean
  /** Facts that the worker stores in the run's details beside the error. */
  details?: Details
}

/**
 * An error with a code that every user may see: lists, metrics and alerts name it. Its message is masked and stored like that
 * of any other error, and shown to people who may see payloads.
 *
 * The codes `cancelled`, `guard_blocked`, `expired`, `worker_lost` and `drained` are for runs that the engine itself ends. If a
 * handler throws one, it is stored as `handler_cancelled` and so on, and counts as a failure.
 */
export class JobError extends Error {
  override readonly name = 'JobError'
  readonly code: string
  readonly retryable: boolean
  readonly details: Details

  constructor(code: string, message: string, options: JobErrorOptions = {}) {
    const { cause, retryable = true, details = {}, ...said } = checkJobError(code, message, options)
    super(said.message, { cause })
    this.code = said.code
    this.retryable = retryable
    this.details = details
  }
}
