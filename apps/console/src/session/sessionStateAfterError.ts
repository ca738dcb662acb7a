import { ApiError } from '../api/apiError.ts'

/*
 * Who uses the console (SessionState), kept in the query cache under SESSION_KEY:
 *
 *   (none)   The page has just opened. The server's answer makes it member, nobody or refused; without one, Shell asks
 *            again every 3 s.
 *   member   A screen shows. Logging out, or an answer with 401, makes it nobody; a read that is answered with 403 makes
 *            it refused. A change that is answered with 403 has the session asked for again.
 *   nobody   The log-in screen shows, at whatever address. Logging in makes it member, or refused.
 *   refused  Somebody is logged in who may not use the console. "Log in as somebody else" makes it nobody.
 */

export interface Member {
  /** The name by which the server knows them. */
  name: string
  /** Empty when only the host knows the role. */
  role: string
  /** Whether they may do more than look. */
  mayAct: boolean
}

/** Who uses the console. */
export type SessionState =
  | { kind: 'member'; member: Member }
  /** Nobody is logged in; `hasExpired` if somebody was until just now. */
  | { kind: 'nobody'; hasExpired: boolean }
  /** Somebody is logged in who may not use the console. */
  | { kind: 'refused'; detail: string }

/** What a failed request tells about the session; null when it tells nothing. */
export function sessionStateAfterError(error: unknown, wasMember = false): SessionState | null {
  if (!(error instanceof ApiError)) return null
  if (error.kind === 'unauthorized') return { kind: 'nobody', hasExpired: wasMember }
  if (error.kind === 'forbidden') return { kind: 'refused', detail: error.detail }
  return null
}
