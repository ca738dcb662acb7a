import type { ConsoleAccess, ConsoleSession } from '@roundsman/admin/contract'
import { queryOptions } from '@tanstack/react-query'
import type { Services } from '../services/ServicesContext.ts'
import { sessionStateAfterError, type Member, type SessionState } from './sessionStateAfterError.ts'

export const SESSION_KEY = ['session'] as const
/** Whether a query is about anything but who uses the console. */
export const isBesideSession = ({ queryKey }: { queryKey: readonly unknown[] }): boolean =>
  queryKey[0] !== SESSION_KEY[0]

export const SESSION_PATH = '/console/session'

/** Short, because the answer costs the server next to nothing: one that has not answered by then is gone. */
const TIMEOUT_MS = 8_000

/** Asks the server who uses the console. That nobody is logged in, or may not use it, is an answer and no failure. */
export function sessionQuery({ api, settings }: Pick<Services, 'api' | 'settings'>) {
  return queryOptions({
    queryKey: SESSION_KEY,
    queryFn: async ({ signal, client }): Promise<SessionState> => {
      try {
        if (settings.hasSessions) {
          const session = await api.get<ConsoleSession>(SESSION_PATH, signal, TIMEOUT_MS)
          api.setCsrfToken(session.csrfToken)
          return { kind: 'member', member: memberOf(session) }
        }
        const { actor, act } = await api.get<ConsoleAccess>('/console/access', signal, TIMEOUT_MS)
        return { kind: 'member', member: { name: actor, role: '', mayAct: act } }
      } catch (error) {
        const before = client.getQueryData<SessionState>(SESSION_KEY)
        const state = sessionStateAfterError(error, before?.kind === 'member')
        if (state === null) throw error
        return state
      }
    },
    staleTime: Infinity,
  })
}

/** Turns a session into a member. People who may have a session may act. */
export function memberOf({ user: { email, role } }: ConsoleSession): Member {
  return { name: email, role, mayAct: true }
}
