import type { ReactNode } from 'react'

/** Dims what was asked for before, until there is what is asked for now. It takes clicks: who leaves a filter by one means what is seen. */
export function Dim({ isOld, children }: { isOld: boolean; children: ReactNode }) {
  return (
    <div className={isOld ? 'asAsked isDim' : 'asAsked'} aria-busy={isOld}>
      {children}
    </div>
  )
}
