import { useIsFetching, useQueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'
import { Elapsed } from '../parts/Elapsed.tsx'
import { useServices } from '../services/useServices.ts'
import { SESSION_KEY } from '../session/sessionQuery.ts'

/** Says that the server is gone and how old the screen is. It is being knocked at meanwhile. */
export function StaleBanner() {
  const { connection } = useServices()
  const queries = useQueryClient()
  const state = useSyncExternalStore(connection.subscribe, connection.read)
  const isAsking = useIsFetching({ queryKey: SESSION_KEY }) > 0
  // There before it is needed: a live region that comes with its text is not read out.
  return (
    <div role="status" aria-live="polite" className="bannerPlace">
      {state.kind === 'gone' && (
        <div className="banner">
          <span>
            <strong>The server cannot be reached.</strong> What you see is{' '}
            <Elapsed since={new Date(state.since).toISOString()} /> old, and nothing can be changed.
          </span>
          <button
            type="button"
            className="button isSmall"
            onClick={() => void queries.refetchQueries({ queryKey: SESSION_KEY })}
          >
            {isAsking ? 'Trying…' : 'Try again'}
          </button>
        </div>
      )}
    </div>
  )
}
