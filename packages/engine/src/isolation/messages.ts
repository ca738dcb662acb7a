import type { Guard } from '../job/defineJob.ts'
import type { Refusal } from '../job/rateLimited.ts'
import type { Execution } from '../run/executeRun.ts'
import { isStorableResult } from '../run/storableResult.ts'

/** Messages to the process of isolated runs. */
export type ToChild =
  | {
      kind: 'open'
      module: string
      databaseUrl: string
      schema: string
      level: string | undefined
    }
  | ({ kind: 'run' } & RunRequest)
  | { kind: 'abort'; token: string; code: string; message: string; retryable: boolean }
  /** The process closes its connections and files, and ends. */
  | { kind: 'close' }

export interface RunRequest extends Pick<
  Execution,
  'taken' | 'retriesLeft' | 'workerId' | 'approvedRows'
> {
  /** New for each run, so that late messages of the run before are not taken for this one's. */
  token: string
  timeoutMs: number
  guard: Guard | null
}

export type FromChild =
  | { kind: 'log'; token: string | null; line: string }
  | { kind: 'progress'; token: string; done: number; total: number | null }
  /** The child is idle: its last run has ended, and the process still responds. */
  | { kind: 'rested'; token: string; usedBytes: number }
  | { kind: 'ended'; token: string; result: ChildResult }

type ChildResult =
  | { status: 'success'; details: Fields; result?: string }
  | {
      status: 'failed'
      details: Fields
      error: Fields & { code: string; message: string }
      retryable: boolean
      refusal?: Refusal
    }

type Fields = Record<string, unknown>

/**
 * Checks a message of the handlers' process, which is as foreign as what handlers return; null when it is invalid. It came
 * as JSON, so reading it runs no foreign code.
 */
export function readFromChild(message: unknown): FromChild | null {
  if (!isFields(message)) return null
  const { kind, token } = message
  if (kind === 'log') {
    const { line } = message
    if (typeof line !== 'string' || !(typeof token === 'string' || token === null)) return null
    return { kind, token, line }
  }
  if (typeof token !== 'string') return null
  switch (kind) {
    case 'progress': {
      const { done, total } = message
      return isNumber(done) && (total === null || isNumber(total))
        ? { kind, token, done, total }
        : null
    }
    case 'rested': {
      const { usedBytes } = message
      return isNumber(usedBytes) ? { kind, token, usedBytes } : null
    }
    case 'ended': {
      const result = readResult(message.result)
      return result && { kind, token, result }
    }
    default:
      return null
  }
}

/** Reads a result from the child. Null: it is none, since foreign code in the child may write there, too. */
function readResult(result: unknown): ChildResult | null {
  if (!isFields(result) || !isFields(result.details)) return null
  const { status, details, error, retryable, refusal, result: json } = result
  if (status === 'success') {
    if (json === undefined) return { status, details }
    return isStorableResult(json) ? { status, details, result: json } : null
  }
  if (status !== 'failed' || typeof retryable !== 'boolean' || !isFields(error)) return null
  const { code, message } = error
  if (typeof code !== 'string' || typeof message !== 'string') return null
  const failed = { status, details, error: { ...error, code, message }, retryable } as const
  if (refusal === undefined) return failed
  return isRefusal(refusal) ? { ...failed, refusal } : null
}

function isRefusal(value: unknown): value is Refusal {
  if (!isFields(value)) return false
  const { retryAfterMs, limit, isOfKey } = value
  const isNamed = limit === null || typeof limit === 'string'
  return isNumber(retryAfterMs) && isNamed && typeof isOfKey === 'boolean'
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON.parse makes Infinity of a number that is too large. */
function isNumber(value: unknown): value is number {
  return Number.isFinite(value)
}
