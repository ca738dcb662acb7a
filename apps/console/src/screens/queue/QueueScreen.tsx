import type { ConsoleQueue } from '@roundsman/fastify/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { queueQuery } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { jobColumn } from './jobColumn.tsx'
import { DeadLetters } from './DeadLetters.tsx'
import { QueueCharts } from './QueueCharts.tsx'
import { QueuePause } from './QueuePause.tsx'
import { WaitingWork } from './WaitingWork.tsx'

type QueueJob = ConsoleQueue['jobs'][number]

const COLUMNS: readonly Column<QueueJob>[] = [
  jobColumn,
  {
    header: 'Waiting',
    align: 'end',
    cell: ({ name, waiting }) =>
      waiting === 0 ? (
        <Quiet value={0} />
      ) : (
        <Link
          to="/queue"
          search={{ work: name }}
          resetScroll={false}
          aria-label={`${waiting} waiting of ${name}`}
        >
          <Count value={waiting} />
        </Link>
      ),
  },
  { header: 'Of them later', align: 'end', cell: ({ delayed }) => <Quiet value={delayed} /> },
  { header: 'Active', align: 'end', cell: ({ active }) => <Quiet value={active} /> },
  {
    header: 'Oldest',
    align: 'end',
    cell: ({ oldestWaitingAt }) =>
      oldestWaitingAt === null ? <span className="muted">–</span> : <Moment at={oldestWaitingAt} />,
  },
  {
    header: 'Done in 1 h',
    align: 'end',
    cell: ({ completedLastHour }) => <Quiet value={completedLastHour} />,
  },
  {
    header: 'Failed in 1 h',
    align: 'end',
    cell: ({ failedLastHour, completedLastHour }) => (
      <Failed failed={failedLastHour} ended={failedLastHour + completedLastHour} />
    ),
  },
  {
    header: 'Dead letters',
    align: 'end',
    cell: ({ name, deadLetters }) =>
      deadLetters === 0 ? (
        <Quiet value={0} />
      ) : (
        <Link to="/queue" search={{ name }} aria-label={`${deadLetters} dead letters of ${name}`}>
          <Count value={deadLetters} />
        </Link>
      ),
  },
  { header: 'Queue', isFull: true, cell: (job) => <QueuePause job={job} /> },
]

export function QueueScreen(): ReactNode {
  const { api } = useServices()
  const queue = useQuery(queueQuery(api))
  return (
    <>
      <ScreenHeader
        title="Queue"
        lead={
          queue.data === undefined ? <Skeleton kind="line" /> : <QueueSentence queue={queue.data} />
        }
      />
      <QueryView query={queue} skeleton={<Skeleton kind="panel" count={3} />}>
        {(data) => (
          <>
            {data.heedlessWorkers > 0 && data.jobs.some((job) => job.queuePaused !== null) && (
              <p className="problem" role="status">
                {data.heedlessWorkers === 1 ? '1 worker is' : `${data.heedlessWorkers} workers are`}{' '}
                of an older version, which knows no paused queues and goes on to take their work.
              </p>
            )}
            <Panel title="By job" className="isFlush">
              <QueueTable jobs={data.jobs} />
            </Panel>
            <QueueCharts queue={data} />
            <WaitingWork queue={data} />
            <DeadLetters queue={data} />
          </>
        )}
      </QueryView>
    </>
  )
}

function QueueTable({ jobs }: Pick<ConsoleQueue, 'jobs'>) {
  if (jobs.length === 0) {
    return (
      <EmptyState title="There are no queues yet">
        <p>The first worker that starts makes one for each job.</p>
      </EmptyState>
    )
  }
  return (
    <DataTable caption="Queue by job" columns={COLUMNS} rows={jobs} keyOf={({ name }) => name} />
  )
}

function QueueSentence({ queue: { jobs } }: { queue: ConsoleQueue }) {
  const sum = (read: (job: QueueJob) => number) =>
    jobs.reduce((total, job) => total + read(job), 0).toLocaleString('en')
  const later = sum(({ delayed }) => delayed)
  return (
    <p className="muted">
      <strong>{sum(({ waiting }) => waiting)}</strong> waiting
      {later === '0' ? '' : ` (${later} of them for later)`},{' '}
      <strong>{sum(({ active }) => active)}</strong> active,{' '}
      <strong>{sum(({ deadLetters }) => deadLetters)}</strong> dead letters
    </p>
  )
}

/** Zeros are quiet, so that what is there stands out. */
function Quiet({ value }: { value: number }) {
  return value === 0 ? <span className="muted">0</span> : <Count value={value} />
}

function Failed({ failed, ended }: { failed: number; ended: number }) {
  if (failed === 0) return <Quiet value={0} />
  const percent = Math.round((failed / ended) * 100)
  return (
    <span className="isBad isWhole">
      <Count value={failed} /> ({percent === 0 ? '< 1' : percent} %)
    </span>
  )
}
