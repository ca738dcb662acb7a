import { useEffect, useRef, type RefObject } from 'react'

/** What people do when they go elsewhere on the page. */
const ACTS = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const

/**
 * Scrolls to what a link chose, which may lie far below, and keeps it in view while what stands above it loads, until
 * the reader does anything.
 */
export function useShownWhen<T extends Element>(chosen: string | undefined): RefObject<T | null> {
  const element = useRef<T>(null)
  const isChosen = chosen !== undefined
  useEffect(() => {
    if (!isChosen) return undefined
    const layout = new ResizeObserver(() => element.current?.scrollIntoView({ block: 'start' }))
    layout.observe(document.body)
    const stop = () => layout.disconnect()
    for (const act of ACTS) addEventListener(act, stop, { once: true })
    return () => {
      stop()
      for (const act of ACTS) removeEventListener(act, stop)
    }
  }, [isChosen])
  return element
}
