import type { ConsoleSession } from '@roundsman/api/console'
import { Link } from '@tanstack/react-router'
import { useEffect, useState, type ReactNode } from 'react'
import { ActionProvider } from '../actions/ActionProvider.tsx'
import { Tooltip } from '../parts/Tooltip.tsx'
import { useServices } from '../services/useServices.ts'
import { LogoutButton } from '../session/LogoutButton.tsx'
import { Brand } from './Brand.tsx'
import { keepFocus } from './keepFocus.ts'
import { LiveMark } from './LiveMark.tsx'
import { ShortcutHelp } from './ShortcutHelp.tsx'
import { StaleBanner } from './StaleBanner.tsx'
import { ThemeButton } from './ThemeButton.tsx'
import { useScreenPreload } from './useScreenPreload.ts'
import { useShortcuts } from './useShortcuts.ts'

const PLACES = [
  { to: '/', label: 'Overview' },
  { to: '/jobs', label: 'Jobs' },
  { to: '/runs', label: 'Runs' },
  { to: '/queue', label: 'Queue' },
] as const

/** What is around every screen. While it is there, what is on screen is kept current. */
export function Frame({ session, children }: { session: ConsoleSession; children: ReactNode }) {
  const { live } = useServices()
  const [isHelpOpen, setHelpOpen] = useState(false)
  const shortcuts = useShortcuts({ onHelp: () => setHelpOpen(true) })
  useScreenPreload()
  useEffect(() => live.start(), [live])
  useEffect(() => keepFocus(document), [])

  return (
    <ActionProvider>
      <a className="skipLink" href="#main">
        Skip to the content
      </a>
      <header className="topBar">
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
            <LogoutButton session={session} />
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
