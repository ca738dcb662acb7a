import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { EmptyState } from '../parts/EmptyState.tsx'
import { ScreenHeader } from '../parts/ScreenHeader.tsx'

export function NotFoundScreen(): ReactNode {
  return (
    <>
      <ScreenHeader title="Nothing here" />
      <EmptyState title="This address leads nowhere">
        <p>
          It may be mistyped. <Link to="/">Go to the overview</Link>
        </p>
      </EmptyState>
    </>
  )
}
