import type { ConsoleQueue } from '@roundsman/fastify/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useId } from 'react'
import { useAction } from '../../actions/useAction.ts'
import { deadLettersQuery } from '../../api/queries.ts'
import type { DeadLetter } from '../../api/run.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { jobColumn } from './jobColumn.tsx'

const route = getRouteApi('/queue')

const COLUMNS: readonly Column<DeadLetter>[] = [
  jobColumn,
  { header: 'Given up', cell: ({ failedAt }) => <Moment at={failedAt} /> },
  { header: 'Enqueued', cell: ({ enqueuedAt }) => <Moment at={enqueuedAt} /> },
  {
    header: 'Attempts',
    align: 'end',
    isFull: true,
    cell: ({ attempts, queueJobId, name }) => (
      <Link to="/runs" search={{ queueJobId }} aria-label={`${attempts}, the runs of ${name}`}>
        {attempts}
      </Link>
    ),
  },
  {
    header: 'Error',
    isPlain: true,
    isWide: true,
    cell: ({ error }) => (
      <span className="isWrapped">
        <code>{error.code}</code> {error.message}
      </span>
    ),
  },
  { header: 'Actions', isPlain: true, cell: (letter) => <LetterActions letter={letter} /> },
]

/** Work that was given up, and what can be done about it. */
export function DeadLetters({ queue }: { queue: ConsoleQueue }) {
  const { api } = useServices()
  const { name, cursor } = route.useSearch()
  const navigate = route.useNavigate()
  const act = useAction()
  const jobId = useId()
  const letters = useQuery({
    ...deadLettersQuery(api, { name, cursor }),
    placeholderData: keepPreviousData,
  })
  const jobs = queue.jobs.filter((job) => job.deadLetters > 0 || job.name === name)
  const chosen = jobs.find((job) => job.name === name) ?? (jobs.length === 1 ? jobs[0] : undefined)

  return (
    <Panel
      title="Dead letters"
      className="isFlush"
      aside={
        <span className="panelTools">
          <span className="inlineField">
            <label className="muted" htmlFor={jobId}>
              Job
            </label>
            <select
              id={jobId}
              value={name ?? ''}
              data-filter
              onChange={({ target }) =>
                void navigate({
                  to: '/queue',
                  search: target.value === '' ? {} : { name: target.value },
                })
              }
            >
              <option value="">All</option>
              {jobs.map((job) => (
                <option key={job.name} value={job.name}>
                  {job.name} ({job.deadLetters})
                </option>
              ))}
              {name !== undefined && !jobs.some((job) => job.name === name) && (
                <option value={name}>{name}</option>
              )}
            </select>
          </span>
          {act !== null && chosen !== undefined && chosen.deadLetters > 0 && (
            <button
              type="button"
              className="button isSmall"
              onClick={() =>
                act({ kind: 'redriveAll', name: chosen.name, count: chosen.deadLetters })
              }
            >
              Redrive all of {chosen.name}
            </button>
          )}
        </span>
      }
    >
      <QueryView query={letters} skeleton={<Skeleton kind="row" count={3} />}>
        {({ deadLetters, nextCursor }) =>
          deadLetters.length === 0 ? (
            <EmptyState title="No dead letters">
              <p>Work that has used up its attempts is kept here until somebody decides.</p>
            </EmptyState>
          ) : (
            <>
              <DataTable
                caption="Dead letters"
                columns={COLUMNS}
                rows={deadLetters}
                keyOf={({ queueJobId }) => queueJobId}
              />
              {(nextCursor !== null || cursor !== undefined) && (
                <nav className="pager" aria-label="Pages of dead letters">
                  <span />
                  <span className="pagerLinks">
                    {cursor !== undefined && (
                      <Link to="/queue" search={{ name }} className="button isSmall">
                        Newest
                      </Link>
                    )}
                    {nextCursor !== null && (
                      <Link
                        to="/queue"
                        search={{ name, cursor: nextCursor }}
                        className="button isSmall"
                      >
                        Older
                      </Link>
                    )}
                  </span>
                </nav>
              )}
            </>
          )
        }
      </QueryView>
    </Panel>
  )
}

function LetterActions({ letter: { name, queueJobId } }: { letter: DeadLetter }) {
  const act = useAction()
  if (act === null) return null
  return (
    <span className="rowActions">
      <button
        type="button"
        className="button isSmall"
        onClick={() => act({ kind: 'redrive', name, queueJobId })}
      >
        Redrive
      </button>
      <button
        type="button"
        className="button isSmall isQuiet"
        onClick={() => act({ kind: 'discard', name, queueJobId })}
      >
        Discard
      </button>
    </span>
  )
}
