import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { jobsQuery } from '../../api/queries.ts'
import { Button } from '../../parts/Button.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { JobTable } from './JobTable.tsx'

const route = getRouteApi('/jobs')

export function JobsScreen(): ReactNode {
  const { api } = useServices()
  const { q = '' } = route.useSearch()
  const navigate = route.useNavigate()
  const jobs = useQuery(jobsQuery(api))
  const wanted = q.trim().toLowerCase()

  return (
    <>
      <ScreenHeader title="Jobs">
        <label className="inlineField">
          <span className="srOnly">Filter jobs by name</span>
          <input
            type="search"
            placeholder="Filter by name"
            value={q}
            maxLength={100}
            data-filter
            onChange={({ target }) =>
              void navigate({
                to: '/jobs',
                search: target.value === '' ? {} : { q: target.value },
                replace: true,
              })
            }
          />
        </label>
      </ScreenHeader>
      <QueryView query={jobs} skeleton={<Skeleton kind="row" count={8} />}>
        {({ jobs: all }) => {
          const shown = all.filter(({ name }) => name.toLowerCase().includes(wanted))
          if (all.length === 0) {
            return (
              <EmptyState title="There are no jobs yet">
                <p>
                  Define one with <code>defineJob</code>, and give a worker its handler.
                </p>
              </EmptyState>
            )
          }
          if (shown.length === 0) {
            return (
              <EmptyState title={`No job has “${q}” in its name`}>
                <Button onClick={() => void navigate({ to: '/jobs', search: {}, replace: true })}>
                  Show all {all.length}
                </Button>
              </EmptyState>
            )
          }
          return <JobTable jobs={shown} />
        }}
      </QueryView>
    </>
  )
}
