import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { type ReactNode, useEffect } from 'react'
import { asApiError } from '../api/apiError.ts'
import { Button } from '../parts/Button.tsx'
import { useServices } from '../services/useServices.ts'
import { LoginScreen } from '../session/LoginScreen.tsx'
import { sessionQuery, SESSION_PATH } from '../session/sessionQuery.ts'
import { setSession } from '../session/setSession.ts'
import { Brand } from './Brand.tsx'
import { Frame } from './Frame.tsx'

/** How soon to ask again while there is nothing to show. */
const RETRY_MS = 3_000

/**
 * Shows the log-in screen at any address while nobody is logged in. The address stays, so that people are back where
 * they were once they have logged in.
 */
export function Shell(): ReactNode {
  const services = useServices()
  const session = useQuery({
    ...sessionQuery(services),
    refetchInterval: ({ state }) => (state.data === undefined && state.error ? RETRY_MS : false),
  })
  const state = session.data
  if (state === undefined) return <StartScreen error={session.error} />
  switch (state.kind) {
    case 'nobody':
      return <LoginScreen hasExpired={state.hasExpired} />
    case 'refused':
      return <RefusalScreen detail={state.detail} />
    case 'member':
      return (
        <Frame member={state.member}>
          <Outlet />
        </Frame>
      )
    default:
      return state satisfies never
  }
}

/** Shown until the server has said who is there; at first empty, because that takes a moment only. */
function StartScreen({ error }: { error: Error | null }) {
  if (error === null) return <main className="gate" aria-busy="true" />
  const { title, detail } = asApiError(error)
  return (
    <main className="gate">
      <div className="gateCard">
        <Brand />
        <h1>{title}</h1>
        <p role="status">{detail} Trying again every few seconds.</p>
      </div>
    </main>
  )
}

/** Shown to people who are logged in and may not use the console. */
function RefusalScreen({ detail }: { detail: string }) {
  const { api, settings } = useServices()
  const queries = useQueryClient()

  useEffect(() => {
    document.title = 'Not allowed · Roundsman'
  }, [])

  async function leave(): Promise<void> {
    // There may be no session to end. The log-in screen follows in any case.
    await api.change('DELETE', SESSION_PATH).catch(() => undefined)
    setSession(queries, { kind: 'nobody', hasExpired: false })
  }

  return (
    <main className="gate">
      <div className="gateCard">
        <Brand />
        <h1>You don't have access</h1>
        {settings.hasSessions && (
          <p>
            Only administrators and owners may use it. Ask one of them if you need something from
            it.
          </p>
        )}
        <p className="muted small">{detail}</p>
        {settings.hasSessions && (
          <Button onClick={() => void leave()}>Log in as somebody else</Button>
        )}
      </div>
    </main>
  )
}
