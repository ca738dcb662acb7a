import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Dim } from './Dim.tsx'
import { Problem } from './Problem.tsx'

export interface QueryViewProps<Data> {
  query: UseQueryResult<Data>
  /** Shown until there is data, in the size of the content. */
  skeleton: ReactNode
  /** Default: whether that is what was asked for before. */
  isOld?: boolean
  children: (data: Data) => ReactNode
}

/** Shows what a query holds, however old: the banner tells its age. Without data, a skeleton, or what went wrong. */
export function QueryView<Data>(props: QueryViewProps<Data>) {
  const { query, skeleton, isOld = query.isPlaceholderData, children } = props
  // With keys, because people would see a skeleton jump if it became the content.
  if (query.data !== undefined)
    return (
      <Dim key="data" isOld={isOld}>
        {children(query.data)}
      </Dim>
    )
  if (query.isError) return <Problem error={query.error} onRetry={() => void query.refetch()} />
  return (
    <div key="skeleton" aria-busy="true">
      {skeleton}
    </div>
  )
}
