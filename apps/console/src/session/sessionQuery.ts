import type { ConsoleSession } from '@roundsman/api/console'
import { queryOptions } from '@tanstack/react-query'
import type { Api } from '../api/createApi.ts'
import { sessionStateAfterError, type SessionState } from './sessionStateAfterError.ts'

export const SESSION_KEY = ['session'] as const
export const SESSION_PATH = '/api/console/session'

/** It costs the server next to nothing, so that one which has not answered by then is gone. */
const TIMEOUT_MS = 8_000

/** Asks who is there. An answer that nobody is, or somebody who may not, is no failure. */
export function sessionQuery(api: Api) {
  return queryOptions({
    queryKey: SESSION_KEY,
    queryFn: async ({ signal, client }): Promise<SessionState> => {
      try {
        const session = await api.get<ConsoleSession>(SESSION_PATH, signal, TIMEOUT_MS)
        api.setCsrfToken(session.csrfToken)
        return { kind: 'member', session }
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
