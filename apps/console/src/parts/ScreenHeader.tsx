import { useEffect, useRef, type ReactNode } from 'react'
import { findLinkLeftBy } from '../shell/keepFocus.ts'

export interface ScreenHeaderProps {
  title: string
  lead?: ReactNode
  /** Hides the heading, when the lead says the same. */
  isQuiet?: boolean
  children?: ReactNode
}

/** Pages on which a screen was shown before: on the first one, the focus belongs to the browser. */
const seen = new WeakSet<Document>()

/**
 * The heading of a screen, with its actions. It takes the focus when people come from another screen, so that a screen
 * reader says where they are and the next Tab goes on from there. After Back, the link takes it by which they had left.
 */
export function ScreenHeader({ title, lead, isQuiet, children }: ScreenHeaderProps) {
  const heading = useRef<HTMLHeadingElement>(null)

  useEffect(() => {
    document.title = `${title} · Roundsman`
  }, [title])

  useEffect(() => {
    const place = findLinkLeftBy(document) ?? heading.current
    if (seen.has(document)) place?.focus({ preventScroll: true })
    seen.add(document)
  }, [])

  return (
    <header className="screenHeader">
      <div className="screenHeaderText">
        <h1 ref={heading} tabIndex={-1} className={isQuiet ? 'isQuiet' : undefined}>
          {title}
        </h1>
        {lead}
      </div>
      {children !== undefined && (
        <div className="screenHeaderActions" data-focus-home="control">
          {children}
        </div>
      )}
    </header>
  )
}
