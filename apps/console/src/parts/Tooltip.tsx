import { useEffect, useId, useRef, useState } from 'react'

interface Tip {
  target: Element
  text: string
}

const HIDE_AFTER_MS = 120
const GAP_PX = 6
const MARGIN_PX = 8

/**
 * Shows the `data-tip` of the element that is hovered or focused: one tooltip for the hundreds of marks on a page. It
 * stays while the pointer is on it, and Escape hides it.
 */
export function Tooltip() {
  const id = useId()
  const box = useRef<HTMLDivElement>(null)
  const [tip, setTip] = useState<Tip | null>(null)

  useEffect(() => {
    let hiding: ReturnType<typeof setTimeout> | undefined
    const show = (event: Event) => {
      const element = event.target instanceof Element ? event.target : null
      if (element !== null && box.current?.contains(element)) {
        clearTimeout(hiding)
        return
      }
      const target = findTip(element, event.type)
      const text = target?.getAttribute('data-tip') ?? ''
      if (target === null || text === '') {
        hide()
        return
      }
      clearTimeout(hiding)
      setTip({ target, text })
    }
    const hide = () => {
      clearTimeout(hiding)
      hiding = setTimeout(() => setTip(null), HIDE_AFTER_MS)
    }
    const hideAtOnce = () => setTip(null)
    const escape = (event: KeyboardEvent) => {
      if (event.key === 'Escape') hideAtOnce()
    }
    document.addEventListener('pointerover', show)
    document.addEventListener('focusin', show)
    document.addEventListener('focusout', hide)
    document.addEventListener('keydown', escape)
    document.addEventListener('scroll', hideAtOnce, true)
    return () => {
      clearTimeout(hiding)
      document.removeEventListener('pointerover', show)
      document.removeEventListener('focusin', show)
      document.removeEventListener('focusout', hide)
      document.removeEventListener('keydown', escape)
      document.removeEventListener('scroll', hideAtOnce, true)
    }
  }, [])

  useEffect(() => {
    const element = box.current
    if (element === null) return undefined
    if (tip === null) {
      element.hidePopover()
      return undefined
    }
    // In the top layer, above an open dialog as well.
    element.hidePopover()
    element.showPopover()
    place(element, tip.target.getBoundingClientRect())
    tip.target.setAttribute('aria-describedby', id)
    return () => tip.target.removeAttribute('aria-describedby')
  }, [tip, id])

  return (
    <div ref={box} id={id} role="tooltip" popover="manual" className="tooltip">
      {tip?.text}
    </div>
  )
}

/** Finds the element with the tip: this one or one around it; for the focus, also the one inside. */
function findTip(element: Element | null, type: string): Element | null {
  const around = element?.closest('[data-tip]') ?? null
  if (around !== null || type !== 'focusin') return around
  return element?.matches('a, button') ? element.querySelector('[data-tip]') : null
}

function place(box: HTMLElement, target: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = box
  const left = target.left + target.width / 2 - width / 2
  const right = document.documentElement.clientWidth - MARGIN_PX - width
  const above = target.top - GAP_PX - height
  box.style.left = `${Math.max(MARGIN_PX, Math.min(left, right))}px`
  box.style.top = `${above >= MARGIN_PX ? above : target.bottom + GAP_PX}px`
}
