import { useId, useLayoutEffect, useRef, type ReactNode } from 'react'

export interface DialogProps {
  title: string
  /** A palette shows its title to screen readers only, and also closes by a click beside it. */
  isPalette?: boolean
  onClose: () => void
  children: ReactNode
}

/**
 * The browser's own modal dialog: it keeps the focus inside, returns it at the end, closes with Escape, and hides the
 * page behind it from everybody.
 */
export function Dialog({ title, isPalette = false, onClose, children }: DialogProps) {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)

  // In a layout effect, because only a dialog that closes before it leaves the page returns the focus.
  useLayoutEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
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
      // Browsers let a page refuse Escape once, and close the dialog at the second. It stays as long as it is rendered.
      onClose={({ currentTarget }) => {
        if (!currentTarget.isConnected || currentTarget.open) return
        currentTarget.showModal()
        onClose()
      }}
      // A click hits the dialog itself only beside its contents.
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
