import type { ConsoleQueue } from '@roundsman/fastify/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { queueQuery } from '../../api/queries.ts'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { Count } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatClock } from '../../time/formatExact.ts'
import { jobColumn } from './jobColumn.tsx'
import { DeadLetters } from './DeadLetters.tsx'

type QueueJob = ConsoleQueue['jobs'][number]

const COLUMNS: readonly Column<QueueJob>[] = [
  jobColumn,
  { header: 'Waiting', align: 'end', cell: ({ waiting }) => <Quiet value={waiting} /> },
  { header: 'Delayed', align: 'end', cell: ({ delayed }) => <Quiet value={delayed} /> },
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
    cell: ({ failedLastHour }) => <Quiet value={failedLastHour} isBad />,
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
            <Panel title="By job" className="isFlush">
              <QueueTable jobs={data.jobs} />
            </Panel>
            <Panel title="Runs ended per minute, last hour">
              <Throughput throughput={data.throughput} />
            </Panel>
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
  return (
    <p className="muted">
      <strong>{sum(({ waiting }) => waiting)}</strong> waiting,{' '}
      <strong>{sum(({ active }) => active)}</strong> active,{' '}
      <strong>{sum(({ deadLetters }) => deadLetters)}</strong> dead letters
    </p>
  )
}

/** Zeros are quiet, so that what is there stands out. */
function Quiet({ value, isBad = false }: { value: number; isBad?: boolean }) {
  if (value === 0) return <span className="muted">0</span>
  return (
    <span className={isBad ? 'isBad' : undefined}>
      <Count value={value} />
    </span>
  )
}

const KINDS = [{ kind: 'plain', label: 'Ended' }] as const
const LABEL_EVERY = 10

function Throughput({ throughput }: { throughput: ConsoleQueue['throughput'] }) {
  const ended = throughput.reduce((sum, minute) => sum + minute.ended, 0)
  const bars = throughput.map((minute, index): Bar => ({
    key: minute.from,
    label: index > 0 && index % LABEL_EVERY === 0 ? formatClock(minute.from) : null,
    name: formatClock(minute.from),
    tip: `${formatClock(minute.from)}\n${minute.ended.toLocaleString('en')} ended`,
    parts: [{ kind: 'plain', value: minute.ended }],
  }))
  return (
    <BarChart
      summary={`Runs that ended by minute: ${ended.toLocaleString('en')} in the last hour`}
      bars={bars}
      kinds={KINDS}
    />
  )
}
