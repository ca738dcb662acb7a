import { useEffect } from 'react'
// Part of the first code: what people type while it loaded would be lost, or count as shortcuts.
import { Palette } from './Palette.tsx'

export interface SearchProps {
  isOpen: boolean
  onOpen: () => void
  onClose: () => void
}

/** The button in the header and the palette that it opens; so do `/`, and ⌘K or Ctrl-K even while typing. */
export function Search({ isOpen, onOpen, onClose }: SearchProps) {
  useEffect(() => {
    const read = (event: KeyboardEvent) => {
      const isWanted = event.key.toLowerCase() === 'k' && (event.metaKey || event.ctrlKey)
      if (!isWanted || event.altKey || event.shiftKey) return
      event.preventDefault()
      // An open dialog is not left for a search.
      if (document.querySelector('dialog[open]') === null) onOpen()
    }
    document.addEventListener('keydown', read)
    return () => document.removeEventListener('keydown', read)
  }, [onOpen])

  return (
    <>
      <button
        type="button"
        className="searchButton"
        aria-keyshortcuts="/ Control+K Meta+K"
        data-tip="Search (/)"
        onClick={onOpen}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" className="icon">
          <path d="M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.5 10.5l3 3" />
        </svg>
        <span className="searchButtonText">Search</span>
      </button>
      {isOpen && <Palette onClose={onClose} />}
    </>
  )
}
