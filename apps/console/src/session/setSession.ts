import type { QueryClient } from '@tanstack/react-query'
import { SESSION_KEY } from './sessionQuery.ts'
import type { SessionState } from './sessionStateAfterError.ts'

/** Who is at the console from now on. */
export function setSession(queries: QueryClient, state: SessionState): void {
  queries.setQueryData<SessionState>(SESSION_KEY, state)
}

/** Forgets what was asked for: what somebody has seen here is not for the next one. */
export function forgetAnswers(queries: QueryClient): void {
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION_KEY[0] })
}
