import { useSyncExternalStore } from 'react'
import { useServices } from '../services/useServices.ts'

const SAID = {
  connecting: { label: 'Connecting', tip: 'The server is asked to say what changes' },
  live: { label: 'Live', tip: 'Changes are shown as they happen' },
  polling: { label: 'Every 5 s', tip: 'Events do not get through, so the server is asked instead' },
  resting: { label: 'Resting', tip: 'Nothing is asked while nobody looks' },
  gone: { label: 'Stale', tip: 'The server does not answer' },
} as const

/** How current the screen is. */
export function LiveMark() {
  const { live, connection } = useServices()
  const mode = useSyncExternalStore(live.subscribe, live.read)
  const { kind } = useSyncExternalStore(connection.subscribe, connection.read)
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
