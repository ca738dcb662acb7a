import type { ConsoleSession } from '@roundsman/api/console'
import { ApiError } from '../api/apiError.ts'

/** Who is at the console. */
export type SessionState =
  | { kind: 'member'; session: ConsoleSession }
  /** Nobody; `hasExpired` when it was somebody until just now. */
  | { kind: 'nobody'; hasExpired: boolean }
  /** Somebody who may not use it. */
  | { kind: 'refused'; detail: string }

/** What a failed request says about the session, or null when it says nothing. */
export function sessionStateAfterError(error: unknown, wasMember = false): SessionState | null {
  if (!(error instanceof ApiError)) return null
  if (error.kind === 'unauthorized') return { kind: 'nobody', hasExpired: wasMember }
  if (error.kind === 'forbidden') return { kind: 'refused', detail: error.detail }
  return null
}
