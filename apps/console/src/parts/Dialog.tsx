import { useId, useLayoutEffect, useRef, type ReactNode } from 'react'

export interface DialogProps {
  title: string
  onClose: () => void
  children: ReactNode
}

/**
 * The browser's own modal dialog: it keeps the focus inside, gives it back at the end, closes with Escape and
 * takes the page behind it away from everybody.
 */
export function Dialog({ title, onClose, children }: DialogProps) {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)

  // Before the element leaves the page: only a dialog that is closed on it gives the focus back.
  useLayoutEffect(() => {
    const element = dialog.current
    const putBack = hideScrollbar(document.documentElement)
    element?.showModal()
    return () => {
      element?.close()
      putBack()
    }
  }, [])

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

/**
 * What dims the page does not reach the strip of its scrollbar: without it, the page is dimmed to its edge. What lies on the
 * page keeps its place. Returns how to put it back.
 */
function hideScrollbar(page: HTMLElement): () => void {
  const strip = innerWidth - page.clientWidth
  page.style.setProperty('--scrollbar', `${strip}px`)
  page.classList.add('isBehindDialog')
  return () => page.classList.remove('isBehindDialog')
}
