import { useNavigate } from '@tanstack/react-router'
import { useEffect, useEffectEvent, useState } from 'react'
import { PLACES, type Place } from './places.ts'
import { readPreference, storePreference } from './preferences.ts'

export interface Shortcuts {
  isOn: boolean
  setOn(isOn: boolean): void
}

/** How long `g` waits for its second key. */
const GO_WITHIN_MS = 1_500

/** Shortcuts of single keys. People can turn them off, because speech input types letters as well (WCAG 2.1.4). */
export function useShortcuts(on: { onHelp: () => void; onSearch: () => void }): Shortcuts {
  const navigate = useNavigate()
  const [isOn, setOn] = useState(() => readPreference('shortcuts') !== 'off')

  const act = useEffectEvent((key: string, state: ShortcutState): ShortcutState => {
    const next = readShortcut(state, key)
    if (next.shortcut === 'help') on.onHelp()
    else if (next.shortcut === 'search') on.onSearch()
    else if (next.shortcut === 'filter') focusFilter()
    else if (next.shortcut === 'check') checkRow()
    else if (next.shortcut === 'down') focusRow(1)
    else if (next.shortcut === 'up') focusRow(-1)
    else if (next.shortcut !== null) void navigate({ to: next.shortcut })
    return next.state
  })

  useEffect(() => {
    if (!isOn) return undefined
    let state: ShortcutState = 'idle'
    let timer: ReturnType<typeof setTimeout> | undefined
    const read = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return
      // Shift, for instance, comes before `?` and is no shortcut.
      if (event.key.length !== 1) return
      const before = state
      state = act(event.key, state)
      if (before === 'go' || '/?f'.includes(event.key)) event.preventDefault()
      clearTimeout(timer)
      timer = setTimeout(() => {
        state = 'idle'
      }, GO_WITHIN_MS)
    }
    document.addEventListener('keydown', read)
    return () => {
      clearTimeout(timer)
      document.removeEventListener('keydown', read)
    }
  }, [isOn])

  return {
    isOn,
    setOn(next) {
      setOn(next)
      storePreference('shortcuts', next ? null : 'off')
    },
  }
}

function focusFilter(): void {
  document.querySelector<HTMLElement>('[data-filter]')?.focus()
}

/** Moves the focus from a row to the next or previous one; from elsewhere to the first row. */
function focusRow(step: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>('[data-row-link]')]
  const row = focusedRow()
  const at = links.findIndex((link) => row?.contains(link))
  const next = at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))
  links[next]?.focus()
}

function checkRow(): void {
  focusedRow()?.querySelector<HTMLElement>('[data-row-check]')?.click()
}

const focusedRow = () => document.activeElement?.closest('tr') ?? null

/** Whether somebody is typing, or a dialog is open to which the key does not belong. */
function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector('dialog[open]') !== null) return true
  return (
    target instanceof Element &&
    target.matches('input:not([type=checkbox]), textarea, select, [contenteditable]')
  )
}

type Shortcut = Place | 'search' | 'filter' | 'down' | 'up' | 'check' | 'help'

export type ShortcutState = 'idle' | 'go'

/** Reads a key in the light of the one before; `go` waits for the key of a page. */
export function readShortcut(
  state: ShortcutState,
  key: string,
): { state: ShortcutState; shortcut: Shortcut | null } {
  if (state === 'go') {
    return { state: 'idle', shortcut: PLACES.find((place) => place.key === key)?.to ?? null }
  }
  if (key === 'g') return { state: 'go', shortcut: null }
  return { state: 'idle', shortcut: KEYS[key] ?? null }
}

const KEYS: Readonly<Record<string, Shortcut>> = {
  '/': 'search',
  f: 'filter',
  j: 'down',
  k: 'up',
  x: 'check',
  '?': 'help',
}
