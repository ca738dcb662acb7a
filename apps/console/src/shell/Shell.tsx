import { useQuery } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useServices } from '../services/useServices.ts'
import { LoginScreen } from '../session/LoginScreen.tsx'
import { RefusalScreen } from '../session/RefusalScreen.tsx'
import { sessionQuery } from '../session/sessionQuery.ts'
import { Frame } from './Frame.tsx'
import { StartScreen } from './StartScreen.tsx'

/** Asks again while there is nothing to show at all. */
const RETRY_MS = 3_000

/**
 * Who is nobody gets the log-in screen, at whatever address: the address stays, and so one is where one was
 * when one is somebody again.
 */
export function Shell(): ReactNode {
  const { api } = useServices()
  const session = useQuery({
    ...sessionQuery(api),
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
        <Frame session={state.session}>
          <Outlet />
        </Frame>
      )
    default:
      return state satisfies never
  }
}
