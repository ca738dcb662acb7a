import { useState, type KeyboardEvent } from 'react'

const STEPS: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowUp: -1,
  ArrowRight: 1,
  ArrowDown: 1,
}

/**
 * Gives many marks one stop of the Tab key; the arrow keys, Home and End lead on from there. `initial` is the mark that
 * Tab reaches first.
 */
export function useRoving(count: number, initial: number) {
  const [current, setCurrent] = useState<number | null>(null)
  const active = Math.min(current ?? initial, Math.max(count - 1, 0))

  function move(event: KeyboardEvent<HTMLElement>): void {
    const index = target(event.key)
    if (index === null) return
    event.preventDefault()
    const next = Math.max(0, Math.min(count - 1, index))
    setCurrent(next)
    event.currentTarget.querySelector<HTMLElement>(`[data-index="${next}"]`)?.focus()
  }

  function target(key: string): number | null {
    if (key === 'Home') return 0
    if (key === 'End') return count - 1
    const step = STEPS[key]
    if (step === undefined) return null
    return active + step
  }

  return {
    container: { onKeyDown: move },
    item: (index: number) => ({
      'data-index': index,
      tabIndex: index === active ? 0 : -1,
      onFocus: () => setCurrent(index),
    }),
  }
}
