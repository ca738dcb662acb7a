import type { LinkProps } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ButtonLink } from './Button.tsx'

interface PagerProps {
  /** What it is to a screen reader: `Pages of ticks`. */
  label: string
  /** Where the page begins; undefined for the first. */
  cursor: string | undefined
  /** Where the next one begins; null after the last. */
  nextCursor: string | null
  /** What leads to the first page and to the next. */
  words: readonly [string, string]
  /** Stands at its beginning: how many there are. */
  aside?: ReactNode
  /** The address of the page that begins there. */
  pageAt: (cursor: string | undefined) => LinkProps
}

/** Leads to the first and to the next page of a list. Without `aside` nothing where there is one page. */
export function Pager({ label, cursor, nextCursor, words, aside, pageAt }: PagerProps) {
  if (nextCursor === null && cursor === undefined && aside === undefined) return null
  const [first, next] = words
  const link = (at: string | undefined, text: string) => (
    <ButtonLink {...pageAt(at)}>{text}</ButtonLink>
  )
  return (
    <nav className="pager" aria-label={label}>
      {aside ?? <span />}
      <span className="pagerLinks">
        {cursor !== undefined && link(undefined, first)}
        {nextCursor !== null && link(nextCursor, next)}
      </span>
    </nav>
  )
}
