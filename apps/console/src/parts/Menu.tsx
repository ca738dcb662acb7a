import { Link, type LinkProps } from '@tanstack/react-router'
import { useId, useRef, useState, type KeyboardEvent } from 'react'

/** A choice of a menu: an act, or a link to a page. */
export interface MenuItem {
  label: string
  onChoose?: () => void
  link?: LinkProps
  isDangerous?: boolean
}

export interface MenuProps {
  /** The name of both the button and the list. */
  label: string
  /** False entries are left out; without any entry there is no menu. */
  items: readonly (MenuItem | false)[]
}

const GAP_PX = 4
const MARGIN_PX = 8

/**
 * A button with three dots that opens a list. The list is a popover, above everything, which Escape or a click beside
 * it closes. A choice first returns the focus to the button.
 */
export function Menu({ label, items: given }: MenuProps) {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)
  const [isOpen, setOpen] = useState(false)
  const shown = given.filter((item) => item !== false)
  if (shown.length === 0) return null

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
        {shown.map((item) => {
          const props = {
            role: 'menuitem',
            tabIndex: -1,
            className: item.isDangerous ? 'menuItem isDangerous' : 'menuItem',
            children: item.label,
          }
          return item.link === undefined ? (
            <button key={item.label} type="button" {...props} onClick={item.onChoose} />
          ) : (
            <Link key={item.label} {...item.link} {...props} />
          )
        })}
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
