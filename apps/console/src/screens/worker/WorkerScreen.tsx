import type { ConsoleWorkerDetail, ConsoleWorkerRun } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ApiError } from '../../api/apiError.ts'
import { workerQuery } from '../../api/queries.ts'
import { clockAheadMs, startOf } from '../../api/run.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { ButtonLink } from '../../parts/Button.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatAhead, formatDuration } from '../../time/formatDuration.ts'
import { formatExact } from '../../time/formatExact.ts'
import { jobColumn } from '../queue/jobColumn.tsx'
import { WorkerMark } from './WorkerMark.tsx'
import { readWorkerId, workerState } from './workerIdentity.ts'

const route = getRouteApi('/workers/$id')

/** The page of a worker: whether it lives, what it runs, and what it has run. */
export function WorkerScreen(): ReactNode {
  const { api } = useServices()
  const { id } = route.useParams()
  const { at } = route.useSearch()
  const detail = useQuery(workerQuery(api, id, at))
  const title = readWorkerId(id)?.host ?? id

  if (detail.error instanceof ApiError && detail.error.status === 404) {
    return (
      <>
        <ScreenHeader title={title} />
        <EmptyState title="This worker is not known any more">
          <p>
            It has stopped, or was killed more than a day ago, and did not say its version.{' '}
            <Link to="/runs" search={{ worker: id }}>
              Its runs
            </Link>
            , <Link to="/workers">all workers</Link>
          </p>
        </EmptyState>
      </>
    )
  }
  return (
    <>
      <ScreenHeader
        title={title}
        lead={title === id ? undefined : <p className="muted isWrapped">{id}</p>}
      >
        <ButtonLink to="/runs" search={{ worker: id }}>
          All its runs
        </ButtonLink>
      </ScreenHeader>
      <QueryView query={detail} skeleton={<Skeleton kind="panel" count={2} />}>
        {(data) => <WorkerPanels id={id} detail={data} />}
      </QueryView>
    </>
  )
}

function WorkerPanels({ id, detail }: { id: string; detail: ConsoleWorkerDetail }) {
  const { worker, runs, since } = detail
  const aheadMs = Math.max(0, ...runs.map((run) => clockAheadMs(run) ?? 0))
  const running = runs.filter(({ endedAt }) => endedAt === null)
  const ended = runs.filter(({ endedAt }) => endedAt !== null).toReversed()
  return (
    <div className="columns isAsideFirst">
      <div className="column">
        <Panel title="Last runs that ended" {...(ended.length > 0 && { className: 'isFlush' })}>
          {ended.length > 0 ? (
            <DataTable
              caption="Last runs that ended"
              columns={COLUMNS}
              rows={ended}
              keyOf={(run) => run.id}
            />
          ) : (
            <p className="muted">
              No run of it is on record that started since {formatExact(since).local} and has ended.
            </p>
          )}
        </Panel>
        {aheadMs > 0 && (
          <p className="muted">
            Its clock was {formatAhead(aheadMs)}, and its runs are recorded by it.
          </p>
        )}
      </div>
      <div className="column">
        {(worker !== null || running.length > 0) && (
          <Panel title="Runs now">
            <RunsNow running={running} isAlive={worker?.isAlive ?? false} />
          </Panel>
        )}
        <Panel title="Worker">
          <Facts id={id} detail={detail} />
        </Panel>
      </div>
    </div>
  )
}

const COLUMNS: readonly Column<ConsoleWorkerRun>[] = [
  jobColumn,
  {
    header: 'Outcome',
    isPlain: true,
    cell: (run) => (
      <Link to="/runs/$id" params={{ id: run.id }} className="quietLink">
        <StatusMark status={run.outcome} />
      </Link>
    ),
  },
  {
    header: 'What',
    isWide: true,
    isPlain: true,
    cell: ({ label, errorCode }) => (
      <span className="isWrapped">
        {label} {errorCode !== null && <code>{errorCode}</code>}
      </span>
    ),
  },
  { header: 'Started', cell: (run) => <Moment at={startOf(run)} /> },
  {
    header: 'Took',
    align: 'end',
    cell: ({ startedAt, endedAt }) =>
      endedAt !== null && formatDuration(Date.parse(endedAt) - Date.parse(startedAt)),
  },
]

/** A line for each job, with the run that has been under way for longest. */
function RunsNow({ running, isAlive }: { running: readonly ConsoleWorkerRun[]; isAlive: boolean }) {
  if (running.length === 0) {
    return <p className="muted">{isAlive ? 'Idle' : 'Nothing: others took over its runs'}</p>
  }
  return (
    <ul className="lines">
      {[...Map.groupBy(running, ({ name }) => name)].map(([name, [oldest, ...others]]) => (
        <li key={name} className="lineItem">
          <JobLink name={name} className="isCut">
            {name} {others.length > 0 && `× ${others.length + 1}`}
          </JobLink>
          {oldest && (
            <Link to="/runs/$id" params={{ id: oldest.id }} className="quietLink">
              {others.length > 0 && <span className="muted">up to </span>}
              <Elapsed since={startOf(oldest)} />
            </Link>
          )}
        </li>
      ))}
    </ul>
  )
}

function Facts({ id, detail: { worker, former } }: { id: string; detail: ConsoleWorkerDetail }) {
  const parts = readWorkerId(id)
  return (
    <dl className="facts">
      <Fact name="State">
        {worker === null ? (
          'Stopped, or killed more than a day ago'
        ) : (
          <WorkerMark state={workerState(worker)} lastSignAt={worker.lastSignAt} />
        )}
      </Fact>
      {parts && (
        <>
          <Fact name="Host" isWrapped>
            {parts.host}
          </Fact>
          <Fact name="Process">{parts.process}</Fact>
        </>
      )}
      {former && (
        <>
          <Fact name="Version" isWrapped>
            {former.version}
          </Fact>
          <Fact name="Started">
            <Moment at={former.startedAt} />
          </Fact>
          <Fact name="Last seen">
            <Moment at={former.endedAt} />
          </Fact>
        </>
      )}
      {worker && (
        <>
          <Fact name="Version" isWrapped>
            {worker.version ?? 'Not set'}
          </Fact>
          <Fact name="Started">
            <Moment at={worker.startedAt} />
          </Fact>
          <Fact name="Seen">
            <Moment at={worker.lastSignAt} />
          </Fact>
        </>
      )}
    </dl>
  )
}
