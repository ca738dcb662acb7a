import { useEffect, useRef, type RefObject } from 'react'

/** What a person does who goes elsewhere. */
const ACTS = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const

/**
 * Brings what a link chose into view: a panel that shows what was asked for may lie far below. It keeps it there while what
 * stands above it is still loading, until the reader does anything.
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
