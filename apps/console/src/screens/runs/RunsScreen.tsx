import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { runsQuery, RUNS_PER_PAGE } from '../../api/queries.ts'
import type { Run } from '../../api/run.ts'
import { hasFilters, runQuery, type RunSearch } from '../../api/runFilters.ts'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { RunFilterForm } from './RunFilterForm.tsx'
import { RunTable } from './RunTable.tsx'

const route = getRouteApi('/runs')

export function RunsScreen(): ReactNode {
  const { api, settings } = useServices()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [isHeld, setHeld] = useState(false)
  const runs = useQuery({
    ...runsQuery(api, search),
    // Held, so that one can read where many begin and end; what is on screen stays.
    enabled: ({ state }) => !isHeld || state.data === undefined,
    placeholderData: keepPreviousData,
  })
  const { cursor, ...filters } = search

  return (
    <>
      <ScreenHeader title="Runs">
        <button
          type="button"
          className="button isSmall"
          aria-pressed={isHeld}
          onClick={() => setHeld(!isHeld)}
        >
          {isHeld ? 'Resume updates' : 'Pause updates'}
        </button>
        <a
          className="button isSmall isQuiet"
          href={`${settings.api}/jobs/runs.csv${runQuery(filters)}`}
          download
          data-tip="With these filters, up to 100,000 lines"
        >
          Download CSV
        </a>
      </ScreenHeader>
      <RunFilterForm
        filters={filters}
        onChange={(next) => void navigate({ to: '/runs', search: next, replace: true })}
      />
      <div
        className={runs.isPlaceholderData ? 'panel isFlush isDim' : 'panel isFlush'}
        aria-busy={runs.isFetching}
      >
        <QueryView query={runs} skeleton={<Skeleton kind="row" count={12} />}>
          {(page) =>
            page.runs.length === 0 ? (
              <NoRuns search={search} />
            ) : (
              <>
                <RunTable runs={page.runs} />
                <Pager cursor={cursor} search={search} runs={page.runs} next={page.nextCursor} />
              </>
            )
          }
        </QueryView>
      </div>
    </>
  )
}

function NoRuns({ search }: { search: RunSearch }) {
  if (search.cursor !== undefined || hasFilters(search)) {
    return (
      <EmptyState title="No run is like that">
        <p>
          <Link to="/runs">Show all runs</Link>
        </p>
      </EmptyState>
    )
  }
  return (
    <EmptyState title="Nothing has run yet">
      <p>
        <Link to="/jobs">Start one of the jobs</Link>, or wait for the first tick.
      </p>
    </EmptyState>
  )
}

interface PagerProps {
  cursor: string | undefined
  search: RunSearch
  runs: readonly Run[]
  next: string | null
}

/** Pages are cut at a run, not at a number: however many there are, each is found at once. */
function Pager({ cursor, search, runs, next }: PagerProps) {
  // Where the page before each began, so that one can go back; gone with the screen, and then there is still the
  // way to the newest.
  const [before, setBefore] = useState<Readonly<Record<string, string | undefined>>>({})
  const { cursor: _, ...newest } = search
  const hasNewer = cursor !== undefined && cursor in before
  const newer = cursor === undefined ? undefined : before[cursor]
  return (
    <nav className="pager" aria-label="Pages">
      <span className="muted small">
        {cursor === undefined && runs.length === RUNS_PER_PAGE ? 'The newest ' : ''}
        {runs.length} {runs.length === 1 ? 'run' : 'runs'}
      </span>
      <span className="pagerLinks">
        {cursor !== undefined && (
          <Link to="/runs" search={newest} className="button isSmall">
            Newest
          </Link>
        )}
        {hasNewer && (
          <Link
            to="/runs"
            search={newer === undefined ? newest : { ...newest, cursor: newer }}
            className="button isSmall"
          >
            Newer
          </Link>
        )}
        {next !== null && (
          <Link
            to="/runs"
            search={{ ...newest, cursor: next }}
            className="button isSmall"
            onClick={() => setBefore({ ...before, [next]: cursor })}
          >
            Older
          </Link>
        )}
      </span>
    </nav>
  )
}
