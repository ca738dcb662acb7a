import type { RunOutcome } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { BulkButton } from '../../actions/ActButton.tsx'
import { Button } from '../../parts/Button.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { lettersOfRunsQuery, runsQuery, RUNS_PER_PAGE } from '../../api/queries.ts'
import { clockAheadMs, type RunPage } from '../../api/run.ts'
import { hasFilters, runQuery, type RunFilters, type RunSearch } from '../../api/runFilters.ts'
import { counted } from '../../parts/Count.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { SelectionBar } from '../../parts/SelectionBar.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useSelection } from '../../parts/useSelection.ts'
import { useServices } from '../../services/useServices.ts'
import { formatShort } from '../../time/formatExact.ts'
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
    // When held, the list does not change, so that people can read it while many runs begin and end.
    enabled: ({ state }) => !isHeld || state.data === undefined,
    placeholderData: keepPreviousData,
  })
  const { cursor: _, ...filters } = search

  return (
    <>
      <ScreenHeader title="Runs">
        <ActsOnAll filters={filters} />
        <Button aria-pressed={isHeld} onClick={() => setHeld(!isHeld)}>
          {isHeld ? 'Resume updates' : 'Pause updates'}
        </Button>
        <a
          className="button"
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
      <div className="panel isFlush">
        <QueryView query={runs} skeleton={<Skeleton kind="row" count={12} />}>
          {(page) => (
            <>
              {page.runs.length === 0 ? (
                <NoRuns search={search} lookedBackTo={page.lookedBackTo} />
              ) : (
                <Rows runs={page.runs} filters={filters} />
              )}
              <Pager
                label="Pages"
                cursor={search.cursor}
                nextCursor={page.nextCursor}
                words={['Newest', page.lookedBackTo === undefined ? 'Older' : 'Look further back']}
                aside={<Shown page={page} isFirst={search.cursor === undefined} />}
                pageAt={(cursor) => ({ to: '/runs', search: { ...filters, cursor } })}
              />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}

/** The actions on all that match, on all pages: for runs under way, and for those whose work was given up. */
function ActsOnAll({ filters }: { filters: RunFilters }) {
  const { api } = useServices()
  const act = useBulk()
  const { outcome } = filters
  const isRunning = outcome === 'running'
  const { data: letters } = useQuery({
    ...lettersOfRunsQuery(api, filters),
    enabled: act !== null && hasFilters(filters) && !isRunning && outcome !== 'success',
  })
  const { data: running } = useQuery({
    ...runsQuery(api, filters, MAX_COUNTED),
    enabled: act !== null && isRunning,
  })
  const matching = readBulkFilters(filters)
  const { outcome: _, status: __, ...others } = matching
  return (
    <>
      {running !== undefined && running.runs.length > 0 && (
        <BulkButton
          look="isDangerous"
          bulk={{
            what: 'cancel',
            count: running.runs.length,
            isMore: running.nextCursor !== null,
            about: 'under way that match',
            which: Object.values(others).some((value) => value !== undefined)
              ? { runs: others }
              : { all: true },
          }}
        >
          Cancel all {counted(running.runs.length, running.nextCursor !== null)}
        </BulkButton>
      )}
      {letters !== undefined && letters.count > 0 && (
        <BulkButton
          bulk={{
            what: 'redrive',
            count: letters.count,
            isMore: letters.isCut,
            about: 'of the runs that match',
            which: { runs: matching },
          }}
        >
          Retry all dead letters: {counted(letters.count, letters.isCut)}
        </BulkButton>
      )}
    </>
  )
}

/** The rows, and the actions on the checked ones. */
function Rows({ runs, filters }: { runs: RunPage['runs']; filters: RunFilters }) {
  const act = useBulk()
  const selection = useSelection(
    runs.map(({ id }) => id),
    runQuery(filters),
  )
  if (act === null) return <RunTable runs={runs} />
  const checked = runs.filter(({ id }) => selection.has(id))
  const running = checked.filter(({ status }) => status === 'running').map(({ id }) => id)
  // The server finds out whether each of them is still a dead letter.
  const given = checked.flatMap(({ outcome, trigger, workId }) =>
    trigger !== 'schedule' && workId !== null && !NOT_GIVEN_UP.has(outcome) ? [workId] : [],
  )
  const work = [...new Set(given)]
  return (
    <>
      <SelectionBar selection={selection}>
        {running.length > 0 && (
          <BulkButton
            look="isDangerous"
            bulk={{ what: 'cancel', count: running.length, about: '', which: { ids: running } }}
          >
            Cancel {running.length} running
          </BulkButton>
        )}
        {work.length > 0 && (
          <BulkButton
            bulk={{
              what: 'redrive',
              count: work.length,
              isAtMost: true,
              about: '',
              which: { ids: work },
            }}
          >
            Retry dead letters: {work.length}
          </BulkButton>
        )}
      </SelectionBar>
      <RunTable runs={runs} selection={selection} />
    </>
  )
}

/** In a body, a number is one. */
function readBulkFilters({ minDurationMs, maxDurationMs, ...filters }: RunFilters) {
  return {
    ...filters,
    ...(minDurationMs !== undefined && { minDurationMs: Number(minDurationMs) }),
    ...(maxDurationMs !== undefined && { maxDurationMs: Number(maxDurationMs) }),
  }
}

const NOT_GIVEN_UP: ReadonlySet<RunOutcome> = new Set([
  'running',
  'success',
  'givenBack',
  'suspended',
])

/** As many as the server lists at once. */
const MAX_COUNTED = 200

interface NoRunsProps {
  search: RunSearch
  /** The server reads a limited number of runs at once. It has found none in them, and earlier runs may match. */
  lookedBackTo: string | undefined
}

/** What the list says when it has no runs: none so far, none that match, or none at all. */
function NoRuns({ search, lookedBackTo }: NoRunsProps) {
  if (lookedBackTo !== undefined) {
    return (
      <EmptyState title="None yet">
        <p>
          No run back to <Moment at={lookedBackTo}>{formatShort(lookedBackTo)}</Moment> matches.
        </p>
      </EmptyState>
    )
  }
  if (search.cursor !== undefined || hasFilters(search)) {
    return (
      <EmptyState title="No runs match">
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

/** How many runs the page has, and how far back the server has looked for them. */
function Shown({ page, isFirst }: { page: RunPage; isFirst: boolean }) {
  const { runs, lookedBackTo } = page
  return (
    <span className="muted small">
      {isFirst && runs.length === RUNS_PER_PAGE && 'The newest '}
      {runs.length} {runs.length === 1 ? 'run' : 'runs'}
      {runs.some((run) => clockAheadMs(run) !== null) &&
        ', by the clocks of their workers: one is ahead'}
      {lookedBackTo !== undefined && runs.length > 0 && (
        <>
          {' '}
          back to <Moment at={lookedBackTo}>{formatShort(lookedBackTo)}</Moment>
        </>
      )}
    </span>
  )
}
