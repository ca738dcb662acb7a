import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'

export interface MenuProps {
  /** The name of both the button and the list. */
  label: string
  /** Elements with `role="menuitem"`. */
  children: ReactNode
}

const GAP_PX = 4
const MARGIN_PX = 8

/**
 * A button with three dots that opens a list. The list is a popover, above everything, which Escape or a click beside
 * it closes. A choice first returns the focus to the button.
 */
export function Menu({ label, children }: MenuProps) {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const [isOpen, setOpen] = useState(false)

  function open(): void {
    if (button.current === null || list.current === null) return
    place(list.current, button.current.getBoundingClientRect())
    setOpen(true)
    items()[0]?.focus()
  }

  function items(): HTMLElement[] {
    return [...(list.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])]
  }

  function move(event: KeyboardEvent): void {
    const all = items()
    const at = all.findIndex((item) => item === document.activeElement)
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key]
    if (event.key === 'Tab') list.current?.hidePopover()
    if (next === undefined) return
    event.preventDefault()
    all.at(next % all.length)?.focus()
  }

  function close(): void {
    list.current?.hidePopover()
    button.current?.focus({ preventScroll: true })
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        className="iconButton menuButton"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        popoverTarget={id}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M3 8h.01M8 8h.01M13 8h.01" />
        </svg>
      </button>
      <div
        ref={list}
        id={id}
        popover="auto"
        role="menu"
        tabIndex={-1}
        aria-label={label}
        className={isOpen ? 'menu isPlaced' : 'menu'}
        onToggle={({ newState }) => (newState === 'open' ? open() : setOpen(false))}
        onKeyDown={move}
        onClickCapture={close}
      >
        {children}
      </div>
    </>
  )
}

function place(list: HTMLElement, target: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = list
  const bottom = document.documentElement.clientHeight - MARGIN_PX
  const below = target.bottom + GAP_PX
  list.style.left = `${Math.max(MARGIN_PX, target.right - width)}px`
  list.style.top = `${below + height <= bottom ? below : Math.max(MARGIN_PX, target.top - GAP_PX - height)}px`
}
