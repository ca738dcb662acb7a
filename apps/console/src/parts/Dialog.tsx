import { useId, useLayoutEffect, useRef, type ReactNode } from 'react'

export interface DialogProps {
  title: string
  /** A palette says its title only to who can't see it, and closes by a click beside it, too. */
  isPalette?: boolean
  onClose: () => void
  children: ReactNode
}

/**
 * The browser's own modal dialog: it keeps the focus inside, gives it back at the end, closes with Escape and
 * takes the page behind it away from everybody.
 */
export function Dialog({ title, isPalette = false, onClose, children }: DialogProps) {
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
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions -- by key, Escape closes it
    <dialog
      ref={dialog}
      className={isPalette ? 'dialog isPalette' : 'dialog'}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      // Of the dialog itself is only what lies beside its contents.
      onClick={({ target, currentTarget }) => {
        if (isPalette && target === currentTarget) onClose()
      }}
    >
      <h2 id={id} className={isPalette ? 'srOnly' : undefined}>
        {title}
      </h2>
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
