import type { UseQueryResult } from '@tanstack/react-query'
import { Fragment, type ReactNode } from 'react'
import { Problem } from './Problem.tsx'

export interface QueryViewProps<Data> {
  query: UseQueryResult<Data>
  /** As large as what comes. */
  skeleton: ReactNode
  children: (data: Data) => ReactNode
}

/** What a query holds, however old: the banner tells of its age. Without any, a skeleton, or what went wrong. */
export function QueryView<Data>({ query, skeleton, children }: QueryViewProps<Data>) {
  // Keys, since a skeleton that became the content would be seen to jump.
  if (query.data !== undefined) return <Fragment key="data">{children(query.data)}</Fragment>
  if (query.isError) return <Problem error={query.error} onRetry={() => void query.refetch()} />
  return (
    <div key="skeleton" aria-busy="true">
      {skeleton}
    </div>
  )
}
