import { Link } from '@tanstack/react-router'
import { useEffect } from 'react'

const SHOWN_MS = 10_000

export interface NoticeProps {
  done: { text: string; name: string } | null
  onClose: () => void
}

/** Says what was done, and leads to where it shows. */
export function Notice({ done, onClose }: NoticeProps) {
  useEffect(() => {
    if (done === null) return undefined
    const timer = setTimeout(onClose, SHOWN_MS)
    return () => clearTimeout(timer)
  }, [done, onClose])

  return (
    <div role="status" aria-live="polite" className="noticePlace">
      {done !== null && (
        <div className="notice">
          <span>{done.text}.</span>
          <Link to="/runs" search={{ name: done.name }}>
            Its runs
          </Link>
          <button type="button" className="iconButton" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </div>
      )}
    </div>
  )
}
