import { useEffect, useRef, type RefObject } from 'react'

/**
 * Brings what a link chose into view: a panel that shows what was asked for may lie far below. It moves at the first choice
 * alone, since whoever chooses another one in the panel sees it.
 */
export function useShownWhen<T extends Element>(chosen: string | undefined): RefObject<T | null> {
  const element = useRef<T>(null)
  const isChosen = chosen !== undefined
  useEffect(() => {
    if (isChosen) element.current?.scrollIntoView({ block: 'start' })
  }, [isChosen])
  return element
}
