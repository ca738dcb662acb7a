export type Shortcut = '/' | '/jobs' | '/runs' | '/queue' | 'filter' | 'help'

export type ShortcutState = 'idle' | 'go'

const PLACES: Readonly<Record<string, Shortcut>> = {
  o: '/',
  j: '/jobs',
  r: '/runs',
  q: '/queue',
}

/** What a key means after the one before it; `go` waits for the place. */
export function readShortcut(
  state: ShortcutState,
  key: string,
): { state: ShortcutState; shortcut: Shortcut | null } {
  if (state === 'go') return { state: 'idle', shortcut: PLACES[key] ?? null }
  if (key === 'g') return { state: 'go', shortcut: null }
  if (key === '/') return { state: 'idle', shortcut: 'filter' }
  if (key === '?') return { state: 'idle', shortcut: 'help' }
  return { state: 'idle', shortcut: null }
}
