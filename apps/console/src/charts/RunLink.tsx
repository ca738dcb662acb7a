import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { useRoving } from '../parts/useRoving.ts'

export interface RunLinkProps {
  runId: string
  className: string
  /** The lines of its tooltip; a screen reader reads them as one. */
  tip: string
  /** Its place among the marks that share a Tab stop. */
  place: ReturnType<ReturnType<typeof useRoving>['item']>
  children: ReactNode
}

/** The mark of a run in a chart, which leads to its page. */
export function RunLink({ runId, className, tip, place, children }: RunLinkProps) {
  return (
    <Link
      to="/runs/$id"
      params={{ id: runId }}
      preload={false}
      className={className}
      data-tip={tip}
      aria-label={tip.replaceAll('\n', ', ')}
      {...place}
    >
      {children}
    </Link>
  )
}
