import { ApiError } from '../api/apiError.ts'

export interface Member {
  /** As the server calls them. */
  name: string
  /** Empty where only the host knows it. */
  role: string
  /** Whether they may do more than look. */
  mayAct: boolean
}

/** Who is at the console. */
export type SessionState =
  | { kind: 'member'; member: Member }
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
