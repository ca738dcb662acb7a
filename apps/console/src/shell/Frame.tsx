import type { ConsoleEnvironment } from '@roundsman/admin/contract'
import { useIsFetching, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useRouter } from '@tanstack/react-router'
import { useCallback, useEffect, useState, type ReactNode, useSyncExternalStore } from 'react'
import { Button } from '../parts/Button.tsx'
import { ActionProvider } from '../actions/ActionProvider.tsx'
import { environmentQuery } from '../api/queries.ts'
import { Elapsed } from '../parts/Elapsed.tsx'
import { Tooltip } from '../parts/Tooltip.tsx'
import { Search } from '../search/Search.tsx'
import { useServices } from '../services/useServices.ts'
import { SESSION_PATH, SESSION_KEY } from '../session/sessionQuery.ts'
import type { Member } from '../session/sessionStateAfterError.ts'
import { forgetAnswers, setSession } from '../session/setSession.ts'
import { Brand } from './Brand.tsx'
import { keepFocus } from './keepFocus.ts'
import { PLACES } from './places.ts'
import { ShortcutHelp } from './ShortcutHelp.tsx'
import { ThemeButton } from './ThemeButton.tsx'
import { useShortcuts } from './useShortcuts.ts'

/** The frame around every screen. While it is mounted, live updates keep the screen current. */
export function Frame({ member, children }: { member: Member; children: ReactNode }) {
  const { live, settings } = useServices()
  const [isHelpOpen, setHelpOpen] = useState(false)
  const [isSearchOpen, setSearchOpen] = useState(false)
  const openSearch = useCallback(() => setSearchOpen(true), [])
  const shortcuts = useShortcuts({ onHelp: () => setHelpOpen(true), onSearch: openSearch })
  useScreenPreload()
  useEffect(() => live.start(), [live])
  useEffect(() => keepFocus(document), [])

  return (
    <ActionProvider isAllowed={member.mayAct}>
      <a className="skipLink" href="#main">
        Skip to the content
      </a>
      <header className="topBar">
        <Place member={member} />
        <div className="topBarInner">
          <Brand />
          <nav aria-label="Main" className="mainNav">
            {PLACES.map(({ to, label }) => (
              <Link
                key={to}
                to={to}
                className="navLink"
                activeOptions={{ exact: to === '/', includeSearch: false }}
              >
                {label}
              </Link>
            ))}
          </nav>
          <div className="topBarEnd">
            <Search
              isOpen={isSearchOpen}
              onOpen={openSearch}
              onClose={() => setSearchOpen(false)}
            />
            <LiveMark />
            <ThemeButton />
            <button
              type="button"
              className="iconButton"
              aria-label="Keyboard shortcuts"
              data-tip="Keyboard shortcuts (?)"
              onClick={() => setHelpOpen(true)}
            >
              ?
            </button>
            {settings.hasSessions && <LogoutButton />}
          </div>
        </div>
      </header>
      <StaleBanner />
      <main id="main" className="main" tabIndex={-1}>
        {children}
        <Tooltip />
      </main>
      {isHelpOpen && <ShortcutHelp shortcuts={shortcuts} onClose={() => setHelpOpen(false)} />}
    </ActionProvider>
  )
}

/** Shows the environment and the user, so that nobody takes production for something else. */
function Place({ member: { name, role } }: { member: Member }) {
  const { api } = useServices()
  const { data } = useQuery(environmentQuery(api))
  return (
    <div className={data?.isProduction ? 'placeBar isProduction' : 'placeBar'}>
      <div className="place">
        {data && (
          <>
            <strong className="placeName">{data.name}</strong>
            {data.version !== null && <span>{data.version}</span>}
            <span className="isCut" data-tip={`Database\n${databaseName(data)}`} tabIndex={0}>
              {databaseName(data)}
            </span>
          </>
        )}
        <span className="placeMember isCut">{role === '' ? name : `${name}, ${role}`}</span>
      </div>
    </div>
  )
}

function databaseName({ database: { host, name } }: ConsoleEnvironment): string {
  return host === '' ? name : `${host}/${name}`
}

function LogoutButton() {
  const { api } = useServices()
  const queries = useQueryClient()
  const logout = useMutation({
    mutationFn: () => api.change('DELETE', SESSION_PATH),
    onSuccess: () => {
      api.setCsrfToken(null)
      setSession(queries, { kind: 'nobody', hasExpired: false })
      forgetAnswers(queries)
    },
  })
  return (
    <Button look="isQuiet" disabled={logout.isPending} onClick={() => logout.mutate()}>
      Log out
    </Button>
  )
}

const SAID = {
  connecting: { label: 'Connecting', tip: 'Changes will be shown as they happen' },
  live: { label: 'Live', tip: 'Changes are shown as they happen' },
  polling: {
    label: 'Every 5 s',
    tip: 'Live updates do not get through, so the page asks every 5 s',
  },
  resting: { label: 'Resting', tip: 'No updates while this tab is in the background' },
  gone: { label: 'Stale', tip: 'The server does not answer' },
} as const

/** Shows how current the screen is. */
function LiveMark() {
  const { live, reachability } = useServices()
  const mode = useSyncExternalStore(live.subscribe, live.read)
  const { kind } = useSyncExternalStore(reachability.subscribe, reachability.read)
  const shown = kind === 'gone' ? 'gone' : mode
  return (
    <span className={`liveMark is-${shown}`} data-tip={SAID[shown].tip} tabIndex={0}>
      <svg viewBox="0 0 8 8" width="8" height="8" aria-hidden="true">
        {shown === 'live' ? (
          <circle cx="4" cy="4" r="4" />
        ) : (
          <circle cx="4" cy="4" r="3" className="hollow" />
        )}
      </svg>
      {SAID[shown].label}
    </span>
  )
}

/** Says that the server is gone, and how old the screen is. Live updates knock meanwhile. */
function StaleBanner() {
  const { reachability } = useServices()
  const queries = useQueryClient()
  const state = useSyncExternalStore(reachability.subscribe, reachability.read)
  const isAsking = useIsFetching({ queryKey: SESSION_KEY }) > 0
  // Rendered before it is needed: a screen reader does not read a live region that appears with its text.
  return (
    <div role="status" aria-live="polite" className="bannerPlace">
      {state.kind === 'gone' && (
        <div className="banner">
          <span>
            <strong>The server cannot be reached.</strong> This page is{' '}
            <Elapsed since={new Date(state.since).toISOString()} /> old, and nothing can be changed.
          </span>
          <Button onClick={() => void queries.refetchQueries({ queryKey: SESSION_KEY })}>
            {isAsking ? 'Trying…' : 'Try again'}
          </Button>
        </div>
      )}
    </div>
  )
}

/** By then the first screen has all that it needs. */
const AFTER_MS = 2_000

/**
 * Fetches the code of the other screens once the first one is there. They are small, and without it people could not go
 * there while the server is away.
 */
function useScreenPreload(): void {
  const router = useRouter()
  useEffect(() => {
    const timer = setTimeout(() => {
      if (document.hidden) return
      for (const route of Object.values(router.routesById)) {
        // Going there tries it again, and reports the failure.
        Promise.resolve(router.loadRouteChunk(route)).catch(() => undefined)
      }
    }, AFTER_MS)
    return () => clearTimeout(timer)
  }, [router])
}
