import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { ApiError } from '../api/apiError.ts'
import { isBesideSession, SESSION_KEY } from './sessionQuery.ts'
import { sessionStateAfterError, type SessionState } from './sessionStateAfterError.ts'
import { setSession } from './setSession.ts'

/** Makes the query cache. An answer that the log-in is over brings up the log-in screen, from any screen. */
export function createQueries(): QueryClient {
  function noticeEndOfSession(error: unknown): void {
    const before = client.getQueryData<SessionState>(SESSION_KEY)
    const state = sessionStateAfterError(error, before?.kind === 'member')
    if (state !== null) setSession(client, state)
  }

  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (isBesideSession(query)) noticeEndOfSession(error)
      },
    }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _result, mutation) => {
        if (mutation.meta?.['isLogin'] === true) return
        if (error instanceof ApiError && error.kind === 'forbidden') {
          // A log-in in another tab may have renewed the session's token. Asking for the session tells, and fetches the
          // new one.
          void client.invalidateQueries({ queryKey: SESSION_KEY })
          return
        }
        noticeEndOfSession(error)
      },
    }),
    defaultOptions: {
      queries: {
        // What is shown twice within this time is asked for once; events tell when it changes.
        staleTime: 5_000,
        gcTime: 5 * 60_000,
        // The banner tells when the server is gone, and asks until it is back.
        retry: false,
        networkMode: 'always',
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
      },
      mutations: { networkMode: 'always', retry: false },
    },
  })
  return client
}
