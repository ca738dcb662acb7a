import type { ConsoleLimit } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Fragment, type ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { useAction } from '../../actions/useAction.ts'
import { limitsQuery } from '../../api/queries.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { Halt } from './Halt.tsx'
import { HeldSlots } from './HeldSlots.tsx'

/** What may run at once over all workers, and who holds the slots now. */
export function LimitsScreen(): ReactNode {
  const { api } = useServices()
  const act = useAction()
  const limits = useQuery({ ...limitsQuery(api), refetchInterval: 5_000 })
  return (
    <>
      <ScreenHeader title="Limits" />
      <div className="panel isFlush limitTable">
        <QueryView query={limits} skeleton={<Skeleton kind="row" count={4} />}>
          {({ limits: rows }) =>
            rows.length === 0 ? (
              <EmptyState title="No job has a limit over all workers">
                <p>
                  Limits are listed here once a worker has registered them, or somebody has set one.
                </p>
              </EmptyState>
            ) : (
              <DataTable
                caption="Limits"
                columns={act === null ? COLUMNS : [...COLUMNS, SET]}
                rows={rows}
                keyOf={({ name, jobs }) => `${jobs === null} ${name}`}
              />
            )
          }
        </QueryView>
      </div>
    </>
  )
}

const COLUMNS: readonly Column<ConsoleLimit>[] = [
  {
    header: 'Limit',
    isRowHeader: true,
    isPlain: true,
    isFull: true,
    cell: ({ name, jobs, order }) => (
      <span className="stacked isWrapped">
        {jobs === null ? (
          <JobLink name={name} />
        ) : (
          <span>
            {name}{' '}
            <span className="muted">
              shared by{' '}
              {jobs.map((job, nth) => (
                <Fragment key={job}>
                  {nth > 0 && ', '}
                  <Link to="/jobs/$name" params={{ name: job }}>
                    {job}
                  </Link>
                </Fragment>
              ))}
            </span>
          </span>
        )}
        {order !== null && (
          <Link to="/jobs/$name/keys" params={{ name }}>
            Its keys
          </Link>
        )}
      </span>
    ),
  },
  { header: 'At once', isPlain: true, isFull: true, cell: (limit) => <AtOnce limit={limit} /> },
  {
    header: 'Rate',
    isEmpty: ({ rateLimit, parkedUntil }) => rateLimit === null && parkedUntil === null,
    isPlain: true,
    isFull: true,
    cell: ({ rateLimit, ratePerMs, rateBy, parkedUntil, parkReason }) => (
      <span className="stacked isWrapped">
        {rateLimit !== null && (
          <span>
            {rateLimit.toLocaleString('en')} in {formatDuration(ratePerMs ?? 0)}
            {rateBy === 'key' && ' of each key'}
          </span>
        )}
        {parkedUntil !== null && <Halt state="Parked" until={parkedUntil} reason={parkReason} />}
      </span>
    ),
  },
  {
    header: 'Held by',
    isPlain: true,
    isFull: true,
    isEmpty: ({ runs }) => runs.length === 0,
    cell: ({ runs, running }) => (
      <>
        <HeldSlots runs={runs} />
        {running > runs.length && (
          <span className="muted small">
            and {(running - runs.length).toLocaleString('en')} more
          </span>
        )}
      </>
    ),
  },
]

const SET: Column<ConsoleLimit> = {
  header: 'Actions',
  isPlain: true,
  isFull: true,
  cell: (limit) => <SetLimit limit={limit} />,
}

function SetLimit({ limit: { name, jobs, setGlobal, parkedUntil } }: { limit: ConsoleLimit }) {
  const isShared = jobs !== null
  return (
    <span className="stacked">
      <ActButton
        look="isQuiet"
        aria-label={`Set the limit of ${name}`}
        action={{ kind: 'setLimit', name, isShared, now: setGlobal }}
      >
        Set
      </ActButton>
      {parkedUntil !== null && (
        <ActButton
          look="isQuiet"
          aria-label={`Try now what waits for ${name}`}
          action={{ kind: 'unparkLimit', name, isShared }}
        >
          Try now
        </ActButton>
      )}
    </span>
  )
}

function AtOnce({ limit }: { limit: ConsoleLimit }) {
  const { running, global, setGlobal, setBy, setAt, setReason, perKey } = limit
  const most = setGlobal ?? global
  return (
    <span className="stacked isWrapped">
      <span>
        {running.toLocaleString('en')}{' '}
        {most === null ? 'running' : `of ${most.toLocaleString('en')}`}
      </span>
      {setGlobal !== null && (
        <span className="muted small">
          set by {setBy}
          {setAt !== null && (
            <>
              {' '}
              <Moment at={setAt} />
            </>
          )}
          {setReason !== null && ` · ${setReason}`}; the code says {global ?? 'nothing'}
        </span>
      )}
      {perKey !== null && <span className="muted small">{perKey} of each key</span>}
    </span>
  )
}
