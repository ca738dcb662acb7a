import type { ConsoleLimit } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Fragment, type ReactNode } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { limitsQuery } from '../../api/queries.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
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
                  A job gets one by <code>concurrency.global</code>, <code>rateLimit</code> or{' '}
                  <code>limits</code> in its definition.
                </p>
              </EmptyState>
            ) : (
              <DataTable
                caption="Limits"
                columns={[...COLUMNS, ACTIONS]}
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
    cell: ({ name, jobs }) => (
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
        {parkedUntil !== null && <Halt state="Refused" until={parkedUntil} reason={parkReason} />}
      </span>
    ),
  },
]

const ACTIONS: Column<ConsoleLimit> = {
  header: 'Actions',
  isPlain: true,
  isMenu: true,
  cell: (limit) => <LimitMenu limit={limit} />,
}

function LimitMenu({ limit }: { limit: ConsoleLimit }) {
  const { name, jobs, order, setGlobal: now, parkedUntil } = limit
  const act = useAction()
  const isShared = jobs !== null
  return (
    <Menu
      label={`Actions for the limit of ${name}`}
      items={[
        act !== null &&
          parkedUntil !== null && {
            label: 'Try now',
            onChoose: () => act({ kind: 'unparkLimit', name, isShared }),
          },
        act !== null && {
          label: 'Set the limit',
          onChoose: () => act({ kind: 'setLimit', name, isShared, now }),
        },
        order !== null && { label: 'Its keys', link: { to: '/jobs/$name/keys', params: { name } } },
        !isShared && { label: 'Waiting work', link: { to: '/waiting', search: { name } } },
      ]}
    />
  )
}

/** How many run, of how many, with a bar where there is a limit. */
function AtOnce({ limit }: { limit: ConsoleLimit }) {
  const { running, runs, global, setGlobal, setBy, setAt, setReason, perKey } = limit
  const most = setGlobal ?? global
  return (
    <span className="stacked isWrapped">
      {most === null ? (
        <span>{running.toLocaleString('en')} running</span>
      ) : (
        <ProgressBar progress={{ done: running, total: most }} label={`Slots of ${limit.name}`} />
      )}
      {setGlobal !== null && (
        <span className="muted small">
          set by {setBy}
          {setAt !== null && (
            <>
              {' '}
              <Moment at={setAt} />
            </>
          )}
          {setReason !== null && ` · ${setReason}`}; in the code{' '}
          {global?.toLocaleString('en') ?? 'no limit'}
        </span>
      )}
      {perKey !== null && <span className="muted small">{perKey} of each key</span>}
      <HeldSlots runs={runs} />
      {running > runs.length && (
        <span className="muted small">and {(running - runs.length).toLocaleString('en')} more</span>
      )}
    </span>
  )
}
