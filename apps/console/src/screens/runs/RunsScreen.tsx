import type { RunOutcome } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { BulkButton } from '../../actions/ActButton.tsx'
import { Button } from '../../parts/Button.tsx'
import { useBulk } from '../../actions/useAction.ts'
import { lettersOfRunsQuery, runsQuery, RUNS_PER_PAGE } from '../../api/queries.ts'
import { clockAheadMs, type RunPage } from '../../api/run.ts'
import { hasFilters, runQuery, type RunFilters, type RunSearch } from '../../api/runFilters.ts'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
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
    // When held, the list stays as it is, so that people can read it while many runs begin and end.
    enabled: ({ state }) => !isHeld || state.data === undefined,
    placeholderData: keepPreviousData,
  })
  const { cursor: _, ...filters } = search

  return (
    <>
      <ScreenHeader title="Runs">
        <Button aria-pressed={isHeld} onClick={() => setHeld(!isHeld)}>
          {isHeld ? 'Resume updates' : 'Pause updates'}
        </Button>
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
      <div className="panel isFlush">
        <QueryView query={runs} skeleton={<Skeleton kind="row" count={12} />}>
          {(page) => (
            <>
              {page.runs.length === 0 ? (
                <NoRuns search={search} lookedBackTo={page.lookedBackTo} />
              ) : (
                <Rows page={page} filters={filters} />
              )}
              <Pager search={search} page={page} />
            </>
          )}
        </QueryView>
      </div>
    </>
  )
}

interface RowsProps {
  page: RunPage
  filters: RunFilters
}

/** The rows, and the actions on the checked ones. */
function Rows({ page: { runs, nextCursor }, filters }: RowsProps) {
  const { api } = useServices()
  const queries = useQueryClient()
  const act = useBulk()
  const selection = useSelection(
    runs.map(({ id }) => id),
    runQuery(filters),
  )
  const isBeyondPage = nextCursor !== null && selection.isPageSelected
  const isRunningOnly = filters.outcome === 'running'
  const givenUp = useQuery({
    ...lettersOfRunsQuery(api, filters),
    enabled: isBeyondPage && !isRunningOnly && filters.outcome !== 'success',
  })
  if (act === null) return <RunTable runs={runs} />
  const checked = runs.filter(({ id }) => selection.has(id))
  const running = checked.filter(({ status }) => status === 'running').map(({ id }) => id)
  // The server finds out whether each of them is still a dead letter.
  const given = checked.flatMap(({ outcome, trigger, workId }) =>
    trigger !== 'schedule' && workId !== null && !NOT_GIVEN_UP.has(outcome) ? [workId] : [],
  )
  const work = [...new Set(given)]
  const matching = readBulkFilters(filters)

  async function cancelAll(): Promise<void> {
    const first = await queries.query(runsQuery(api, filters, MAX_COUNTED))
    const { outcome: _, status: __, ...others } = matching
    act?.({
      what: 'cancel',
      count: first.runs.length,
      isMore: first.nextCursor !== null,
      about: 'under way that match',
      which: Object.values(others).some((value) => value !== undefined)
        ? { runs: others }
        : { all: true },
    })
  }

  return (
    <>
      <SelectionBar selection={selection} total={null}>
        {running.length > 0 && (
          <BulkButton
            look="isDangerous"
            bulk={{ what: 'cancel', count: running.length, about: '', which: { ids: running } }}
          >
            Cancel {running.length} running
          </BulkButton>
        )}
        {isRunningOnly && isBeyondPage && (
          <Button look="isDangerous" onClick={() => void cancelAll()}>
            Cancel all that match
          </Button>
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
            Retry {work.length} given up
          </BulkButton>
        )}
        {isBeyondPage && givenUp.data && givenUp.data.count > 0 && (
          <BulkButton
            bulk={{
              what: 'redrive',
              count: givenUp.data.count,
              isMore: givenUp.data.isCut,
              about: 'of the runs that match',
              which: { runs: matching },
            }}
          >
            Retry all {givenUp.data.count.toLocaleString('en')} that match
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

const NOT_GIVEN_UP: ReadonlySet<RunOutcome> = new Set(['running', 'success', 'givenBack'])

/** As many as the server lists at once. */
const MAX_COUNTED = 200

interface NoRunsProps {
  search: RunSearch
  /** The server looks through so many runs at once: it has found none from here on, and there may be some before. */
  lookedBackTo: string | undefined
}

/** What the list says when it has no runs: none so far, none that match, or none at all. */
function NoRuns({ search, lookedBackTo }: NoRunsProps) {
  if (lookedBackTo !== undefined) {
    return (
      <EmptyState title="None yet">
        <p>
          No run back to <Moment at={lookedBackTo}>{formatShort(lookedBackTo)}</Moment> is like
          that.
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

/**
 * Leads to the next and the previous page. Pages begin at a run and not at a number, so the server finds each at once.
 */
function Pager({ search, page }: { search: RunSearch; page: RunPage }) {
  // Where the page before each one began. It is gone when people leave the screen; then only the way to the newest is
  // left.
  const [before, setBefore] = useState<Readonly<Record<string, string | undefined>>>({})
  const { cursor, ...newest } = search
  const { runs, nextCursor: next, lookedBackTo } = page
  const hasNewer = cursor !== undefined && cursor in before
  const newer = cursor === undefined ? undefined : before[cursor]
  if (runs.length === 0 && cursor === undefined && next === null) return null
  return (
    <nav className="pager" aria-label="Pages">
      <span className="muted small">
        {cursor === undefined && runs.length === RUNS_PER_PAGE ? 'The newest ' : ''}
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
            {lookedBackTo === undefined ? 'Older' : 'Look further back'}
          </Link>
        )}
      </span>
    </nav>
  )
}
