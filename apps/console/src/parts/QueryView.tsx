import type { UseQueryResult } from '@tanstack/react-query'
import { Fragment, type ReactNode } from 'react'
import { Problem } from './Problem.tsx'

export interface QueryViewProps<Data> {
  query: UseQueryResult<Data>
  /** Shown until there is data, in the size of the content. */
  skeleton: ReactNode
  children: (data: Data) => ReactNode
}

/** Shows what a query holds, however old: the banner tells its age. Without data, a skeleton, or what went wrong. */
export function QueryView<Data>({ query, skeleton, children }: QueryViewProps<Data>) {
  // With keys, because people would see a skeleton jump if it became the content.
  if (query.data !== undefined) return <Fragment key="data">{children(query.data)}</Fragment>
  if (query.isError) return <Problem error={query.error} onRetry={() => void query.refetch()} />
  return (
    <div key="skeleton" aria-busy="true">
      {skeleton}
    </div>
  )
}
