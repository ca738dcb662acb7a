import type { ConsoleQueue, WaitingWork as Work } from '@roundsman/fastify/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useId } from 'react'
import type { Action, WhichWork } from '../../actions/action.ts'
import { useAction } from '../../actions/useAction.ts'
import { workQuery } from '../../api/queries.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useShownWhen } from '../../parts/useShownWhen.ts'
import { useServices } from '../../services/useServices.ts'
import { jobColumn } from './jobColumn.tsx'

const route = getRouteApi('/queue')

/** So many are counted, and this stands for more, too. */
const MAX_TOTAL = 100_000

const COLUMNS: readonly Column<Work>[] = [
  jobColumn,
  {
    header: 'Label',
    isWide: true,
    cell: ({ label }) =>
      label === null ? (
        <span className="muted">–</span>
      ) : (
        <span className="isWrapped">{label}</span>
      ),
  },
  {
    header: 'Due',
    cell: ({ startAfter, expiresAt }) => (
      <span className="stacked">
        <Moment at={startAfter} />
        {expiresAt !== null && (
          <span className="muted isSmall">
            expires <Moment at={expiresAt} />
          </span>
        )}
      </span>
    ),
  },
  {
    header: 'Attempts',
    align: 'end',
    cell: ({ attempts, queueJobId, name }) =>
      attempts === 0 ? (
        <span className="muted">0</span>
      ) : (
        <Link to="/runs" search={{ queueJobId }} aria-label={`${attempts}, the runs of ${name}`}>
          {attempts}
        </Link>
      ),
  },
  {
    header: 'Priority',
    align: 'end',
    cell: ({ priority }) =>
      priority === 0 ? <span className="muted">0</span> : priority.toLocaleString('en'),
  },
  {
    header: 'Key',
    cell: ({ hasUniqueKey }) =>
      hasUniqueKey ? <span className="badge">Unique</span> : <span className="muted">–</span>,
  },
  { header: 'Actions', isPlain: true, cell: (work) => <WorkActions work={work} /> },
]

/** What waits for a worker or for its time, and what can be done about it. */
export function WaitingWork({ queue }: { queue: ConsoleQueue }) {
  const { api } = useServices()
  const { work: name, label, workCursor: cursor } = route.useSearch()
  const navigate = route.useNavigate()
  const jobId = useId()
  const labelId = useId()
  const panel = useShownWhen<HTMLElement>(name ?? label)
  const page = useQuery({
    ...workQuery(api, { name, label, cursor }),
    placeholderData: keepPreviousData,
  })
  const jobs = queue.jobs.filter((job) => job.waiting > 0 || job.name === name)
  // Where only one job has any, it is meant.
  const chosen = name ?? (label === undefined && jobs.length === 1 ? jobs[0]?.name : undefined)
  const show = (search: { work?: string | undefined; label?: string | undefined }) =>
    void navigate({ to: '/queue', search, resetScroll: false })

  return (
    <Panel
      ref={panel}
      title="Waiting work"
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
              onChange={({ target }) => show({ work: target.value || undefined, label })}
            >
              <option value="">All</option>
              {jobs.map((job) => (
                <option key={job.name} value={job.name}>
                  {job.name} ({job.waiting.toLocaleString('en')})
                </option>
              ))}
              {name !== undefined && !jobs.some((job) => job.name === name) && (
                <option value={name}>{name}</option>
              )}
            </select>
          </span>
          <form
            className="inlineField"
            key={label ?? ''}
            onSubmit={(event) => {
              event.preventDefault()
              const typed = new FormData(event.currentTarget).get('label')
              show({ work: name, label: (typeof typed === 'string' && typed.trim()) || undefined })
            }}
          >
            <label className="muted" htmlFor={labelId}>
              Label
            </label>
            <input
              id={labelId}
              name="label"
              type="search"
              defaultValue={label ?? ''}
              maxLength={200}
              placeholder="exactly, then Enter"
              autoComplete="off"
            />
          </form>
        </span>
      }
    >
      <QueryView query={page} skeleton={<Skeleton kind="row" count={3} />}>
        {({ work, total, nextCursor }) =>
          work.length === 0 ? (
            <EmptyState title="Nothing waits">
              <p>
                {name === undefined && label === undefined
                  ? 'Work stands here until a worker takes it: what has just come, what is to start later, and what is to be tried again.'
                  : 'No waiting work is like that.'}
              </p>
            </EmptyState>
          ) : (
            <>
              {chosen !== undefined && <AllActions name={chosen} label={label} total={total} />}
              <DataTable
                caption="Waiting work"
                columns={COLUMNS}
                rows={work}
                keyOf={({ queueJobId }) => queueJobId}
              />
              {(nextCursor !== null || cursor !== undefined) && (
                <nav className="pager" aria-label="Pages of waiting work">
                  <span className="muted">{countOf(total)} in all</span>
                  <span className="pagerLinks">
                    {cursor !== undefined && (
                      <Link
                        to="/queue"
                        search={{ work: name, label }}
                        resetScroll={false}
                        className="button isSmall"
                      >
                        First due
                      </Link>
                    )}
                    {nextCursor !== null && (
                      <Link
                        to="/queue"
                        search={{ work: name, label, workCursor: nextCursor }}
                        resetScroll={false}
                        className="button isSmall"
                      >
                        Due later
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

function countOf(total: number): string {
  return total === MAX_TOTAL ? `${total.toLocaleString('en')} or more` : total.toLocaleString('en')
}

/** What is done to all that match, whatever page they stand on. */
function AllActions({
  name,
  label,
  total,
}: {
  name: string
  label: string | undefined
  total: number
}) {
  if (useAction() === null) return null
  const which: WhichWork = label === undefined ? { all: true } : { label }
  const of = { name, which, count: total }
  return (
    <div className="allActions" role="group" aria-label={`Actions for all of ${name}`}>
      <span>
        All <strong>{countOf(total)}</strong> of {name}
        {label !== undefined && ` labelled ${label}`}
      </span>
      <span className="rowActions">
        <WorkButton kind="startWork" of={of}>
          Start now
        </WorkButton>
        <WorkButton kind="postponeWork" of={of}>
          Postpone all
        </WorkButton>
        <WorkButton kind="prioritiseWork" of={of}>
          Priority of all
        </WorkButton>
        <WorkButton kind="cancelWork" of={of} isQuiet>
          Cancel all
        </WorkButton>
      </span>
    </div>
  )
}

function WorkActions({ work: { name, queueJobId, isDue } }: { work: Work }) {
  if (useAction() === null) return null
  const of = { name, which: { ids: [queueJobId] }, count: 1 }
  return (
    <span className="rowActions">
      {!isDue && (
        <WorkButton kind="startWork" of={of}>
          Start now
        </WorkButton>
      )}
      <WorkButton kind="postponeWork" of={of}>
        Postpone
      </WorkButton>
      <WorkButton kind="prioritiseWork" of={of} isQuiet>
        Priority
      </WorkButton>
      <WorkButton kind="cancelWork" of={of} isQuiet>
        Cancel
      </WorkButton>
    </span>
  )
}

interface WorkButtonProps {
  kind: WorkAction['kind']
  of: Omit<WorkAction, 'kind'>
  isQuiet?: boolean
  children: string
}

/** For whoever may act. */
function WorkButton({ kind, of, isQuiet = false, children }: WorkButtonProps) {
  const act = useAction()
  return (
    <button
      type="button"
      className={isQuiet ? 'button isSmall isQuiet' : 'button isSmall'}
      onClick={() => act?.({ kind, ...of })}
    >
      {children}
    </button>
  )
}

type WorkAction = Extract<Action, { which: WhichWork }>
