import type { ReactNode } from 'react'

export interface EmptyStateProps {
  title: string
  /** What people can do about it. */
  children?: ReactNode
}

export function EmptyState({ title, children }: EmptyStateProps) {
  return (
    <div className="emptyState">
      <p className="emptyStateTitle">{title}</p>
      {children}
    </div>
  )
}
