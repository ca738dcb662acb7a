import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { ApiError } from '../api/apiError.ts'
import { SESSION_KEY } from './sessionQuery.ts'
import { sessionStateAfterError, type SessionState } from './sessionStateAfterError.ts'
import { setSession } from './setSession.ts'

/** The query cache. An answer that says that the log-in is over brings the log-in screen, wherever one is. */
export function createQueries(): QueryClient {
  function noticeEndOfSession(error: unknown): void {
    const before = client.getQueryData<SessionState>(SESSION_KEY)
    const state = sessionStateAfterError(error, before?.kind === 'member')
    if (state !== null) setSession(client, state)
  }

  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (query.queryKey[0] !== SESSION_KEY[0]) noticeEndOfSession(error)
      },
    }),
    mutationCache: new MutationCache({
      onError: (error, _variables, _result, mutation) => {
        if (mutation.meta?.['isLogin'] === true) return
        if (error instanceof ApiError && error.kind === 'forbidden') {
          // Its token may have been renewed by a log-in in another tab: asking tells, and fetches the new one.
          void client.invalidateQueries({ queryKey: SESSION_KEY })
          return
        }
        noticeEndOfSession(error)
      },
    }),
    defaultOptions: {
      queries: {
        // What is seen twice within this is not asked for twice; events say when it has changed.
        staleTime: 5_000,
        gcTime: 5 * 60_000,
        // The banner tells of a server that is gone, and asks until it is back.
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
