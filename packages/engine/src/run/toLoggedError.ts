import type { CauseDescription } from './describeError.ts'

/** A copy that any logger can write and that is bounded, in place of what was thrown: made of `describeError`. */
export function toLoggedError({ code, message, stack, cause }: LoggedError): Error {
  const error = Object.assign(new Error(message), { code })
  error.name = code ?? 'Error'
  error.stack = [`${error.name}: ${message}`, ...(stack?.split('\n') ?? [])].join('\n    ')
  if (cause) error.cause = toLoggedError(cause)
  return error
}

interface LoggedError extends CauseDescription {
  stack?: string
}
