import type { ConsoleWorkers } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { workersQuery } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { WorkerMark } from './WorkerMark.tsx'
import { readWorkerId, workerState, type WorkerState } from './workerIdentity.ts'

type Worker = ConsoleWorkers['workers'][number]

/** The page of all workers, with those that were killed within a day. */
export function WorkersScreen(): ReactNode {
  const { api } = useServices()
  const workers = useQuery(workersQuery(api))
  return (
    <>
      <ScreenHeader title="Workers" />
      <QueryView query={workers} skeleton={<Skeleton kind="row" count={3} />}>
        {({ workers: all }) =>
          all.length === 0 ? (
            <EmptyState title="No worker is running">
              <p>Runs begin once a worker process has started.</p>
            </EmptyState>
          ) : (
            <div className="columns isAsideLast">
              <Panel title={describeStates(all)} className="isFlush">
                <DataTable caption="Workers" columns={COLUMNS} rows={all} keyOf={({ id }) => id} />
              </Panel>
              <div className="column">
                <Panel title="Runs now">
                  <RunsNow workers={all} />
                </Panel>
                <Panel title="Versions">
                  <Versions workers={all} />
                </Panel>
              </div>
            </div>
          )
        }
      </QueryView>
    </>
  )
}

/** What runs over all workers, by job, the one with the most runs first. */
function RunsNow({ workers }: { workers: readonly Worker[] }) {
  const byJob = Map.groupBy(
    workers.flatMap(({ running }) => running),
    ({ name }) => name,
  )
  const jobs = [...byJob].map(([name, of]) => ({
    name,
    count: of.reduce((sum, { count }) => sum + count, 0),
    since: of.map(({ oldestStartedAt }) => oldestStartedAt).toSorted()[0] ?? '',
  }))
  if (jobs.length === 0) return <p className="muted">Nothing</p>
  return (
    <ul className="lines">
      {jobs
        .toSorted((one, other) => other.count - one.count)
        .map(({ name, count, since }) => (
          <li key={name} className="lineItem">
            <JobLink name={name} className="isCut" />
            <span className="lineEnd">
              <Link to="/runs" search={{ name, status: 'running' }}>
                <Count value={count} /> running
              </Link>
              <span className="muted">
                {count > 1 && 'up to '}
                <Elapsed since={since} />
              </span>
            </span>
          </li>
        ))}
    </ul>
  )
}

/** How many living workers run each version, the newest first. */
function Versions({ workers }: { workers: readonly Worker[] }) {
  const byVersion = Map.groupBy(
    workers
      .filter(({ isAlive }) => isAlive)
      .toSorted((one, other) => other.startedAt.localeCompare(one.startedAt)),
    ({ version }) => version,
  )
  return (
    <ul className="lines">
      {[...byVersion].map(([version, of]) => (
        <li key={version} className="lineItem">
          <span className="isWrapped">{version ?? 'Not set'}</span>
          <span className="muted">
            {of.length} {of.length === 1 ? 'worker' : 'workers'}
          </span>
        </li>
      ))}
    </ul>
  )
}

/** Says `2 alive, 1 silent`. Workers that are gone show by their rows alone. */
function describeStates(workers: readonly Worker[]): string {
  const states = workers.map(workerState)
  const count = (wanted: WorkerState) => states.filter((state) => state === wanted).length
  const silent = count('silent')
  return `${count('alive')} alive${silent === 0 ? '' : `, ${silent} silent`}`
}

const COLUMNS: readonly Column<Worker>[] = [
  {
    header: 'Worker',
    isRowHeader: true,
    isFull: true,
    isPlain: true,
    cell: ({ id }) => (
      <Link to="/workers/$id" params={{ id }} className="strongLink isWrapped">
        {readWorkerId(id)?.host ?? id}{' '}
        <span className="muted small">{readWorkerId(id)?.process}</span>
      </Link>
    ),
  },
  {
    header: 'State',
    isPlain: true,
    cell: (worker) => <WorkerMark state={workerState(worker)} lastSignAt={worker.lastSignAt} />,
  },
  {
    header: 'Runs now',
    isWide: true,
    isFull: true,
    cell: ({ running, isAlive }) =>
      running.length === 0 ? (
        <span className="muted">{isAlive ? 'Idle' : 'Nothing'}</span>
      ) : (
        running.map(({ name, count }) => (count > 1 ? `${name} × ${count}` : name)).join(', ')
      ),
  },
  {
    header: 'Version',
    isFull: true,
    isEmpty: ({ version }) => version === null,
    cell: ({ version }) => version,
  },
  { header: 'Seen', cell: ({ lastSignAt }) => <Moment at={lastSignAt} /> },
  { header: 'Started', cell: ({ startedAt }) => <Moment at={startedAt} /> },
]
