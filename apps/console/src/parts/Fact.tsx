import type { ReactNode } from 'react'

interface FactProps {
  name: string
  /** Set for a value that may be long and has no spaces. */
  isWrapped?: boolean
  children: ReactNode
}

/** A row of a list of facts: `<dl className="facts">`. */
export function Fact({ name, isWrapped = false, children }: FactProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={isWrapped ? 'isWrapped' : undefined}>{children}</dd>
    </div>
  )
}
