import type { QueryClient } from '@tanstack/react-query'
import { isBesideSession, SESSION_KEY } from './sessionQuery.ts'
import type { SessionState } from './sessionStateAfterError.ts'

/** Sets who uses the console from now on. */
export function setSession(queries: QueryClient, state: SessionState): void {
  queries.setQueryData<SessionState>(SESSION_KEY, state)
}

/** Forgets all answers but the session's, so that the next person does not see what somebody else has seen. */
export function forgetAnswers(queries: QueryClient): void {
  queries.removeQueries({ predicate: isBesideSession })
}
