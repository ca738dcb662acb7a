import type { ConsoleWorker as Worker } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { workersQuery } from '../../api/queries.ts'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { WorkerMark } from './WorkerMark.tsx'
import { describeLane, readWorkerId, workerState, type WorkerState } from './workerIdentity.ts'

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
            <Panel title={describeStates(all)} className="isFlush">
              <DataTable caption="Workers" columns={COLUMNS} rows={all} keyOf={({ id }) => id} />
            </Panel>
          )
        }
      </QueryView>
    </>
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
      <Link to="/runs" search={{ worker: id }} className="strongLink isWrapped">
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
    cell: ({ lanes, isAlive }) =>
      lanes.length === 0 ? (
        <span className="muted">{isAlive ? 'Idle' : 'Nothing'}</span>
      ) : (
        lanes.map(describeLane).join(', ')
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
