import type { ConsoleQueue } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { Button } from '../../parts/Button.tsx'
import { queueQuery } from '../../api/queries.ts'
import { Count, isWaitingCut, MAX_COUNTED } from '../../parts/Count.tsx'
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
    isEmpty: ({ waiting }) => waiting === 0,
    cell: ({ name, waiting, delayed }) =>
      waiting === 0 ? (
        <Quiet value={0} />
      ) : (
        <Link
          to="/queue"
          search={{ work: name }}
          resetScroll={false}
          aria-label={`${waiting} waiting of ${name}`}
        >
          <Count value={waiting} isCut={isWaitingCut({ waiting, delayed })} />
        </Link>
      ),
  },
  {
    header: 'For later',
    align: 'end',
    isEmpty: ({ delayed }) => delayed === 0,
    cell: ({ delayed }) => <Quiet value={delayed} isCut={delayed >= MAX_COUNTED} />,
  },
  {
    header: 'Running',
    align: 'end',
    isEmpty: ({ active }) => active === 0,
    cell: ({ active }) => <Quiet value={active} />,
  },
  {
    header: 'Oldest',
    align: 'end',
    isEmpty: ({ oldestWaitingAt }) => oldestWaitingAt === null,
    cell: ({ oldestWaitingAt, backlog, queuePaused }) =>
      oldestWaitingAt === null ? (
        <span className="muted">–</span>
      ) : (
        <span className="stacked">
          <Moment at={oldestWaitingAt} isToCome />
          {backlog !== null && queuePaused === null && (
            <span className={backlog.isStuck ? 'isBad small' : 'muted small'}>{backlog.state}</span>
          )}
        </span>
      ),
  },
  {
    header: 'Done in 1 h',
    align: 'end',
    isEmpty: ({ completedLastHour }) => completedLastHour === 0,
    cell: ({ completedLastHour }) => <Quiet value={completedLastHour} />,
  },
  {
    header: 'Failed in 1 h',
    align: 'end',
    isFull: true,
    isEmpty: ({ failedLastHour, expiredLastHour }) => failedLastHour + expiredLastHour === 0,
    cell: ({ name, failedLastHour, completedLastHour, expiredLastHour }) => (
      <span className="stacked">
        <Failed failed={failedLastHour} ended={failedLastHour + completedLastHour} />
        {expiredLastHour > 0 && (
          <Link to="/runs" search={{ name, outcome: 'expired' }} className="small isUnbroken">
            <Count value={expiredLastHour} /> expired
          </Link>
        )}
      </span>
    ),
  },
  {
    header: 'Dead letters',
    align: 'end',
    isEmpty: ({ deadLetters }) => deadLetters === 0,
    cell: ({ name, deadLetters }) =>
      deadLetters === 0 ? (
        <Quiet value={0} />
      ) : (
        <Link to="/queue" search={{ name }} aria-label={`${deadLetters} dead letters of ${name}`}>
          <Count value={deadLetters} isCut={deadLetters >= MAX_COUNTED} />
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
            <Panel title="By job" className="isFlush">
              <QueueTable jobs={data.jobs} />
            </Panel>
            <InOrder queue={data} />
          </>
        )}
      </QueryView>
    </>
  )
}

/** Dead letters need somebody, and come first where there are any. */
function InOrder({ queue }: { queue: ConsoleQueue }) {
  const letters = <DeadLetters key="letters" queue={queue} />
  const others = [
    <QueueCharts key="charts" queue={queue} />,
    <WaitingWork key="work" queue={queue} />,
  ]
  return queue.jobs.some(({ deadLetters }) => deadLetters > 0)
    ? [letters, ...others]
    : [...others, letters]
}

/** Fewer are not worth a click. */
const MIN_FOLDED = 3

function QueueTable({ jobs }: Pick<ConsoleQueue, 'jobs'>) {
  const [isOpen, setOpen] = useState(false)
  if (jobs.length === 0) {
    return (
      <EmptyState title="There are no queues yet">
        <p>The first worker that starts makes one for each job.</p>
      </EmptyState>
    )
  }
  const sorted = jobs.toSorted(byTrouble)
  const quiet = sorted.filter(isQuiet)
  const isFolded = quiet.length >= MIN_FOLDED
  const shown = isFolded && !isOpen ? sorted.filter((job) => !isQuiet(job)) : sorted
  return (
    <>
      {shown.length > 0 && (
        <DataTable
          caption="Queue by job"
          columns={COLUMNS}
          rows={shown}
          keyOf={({ name }) => name}
        />
      )}
      {isFolded && (
        <p className="fold">
          <Button look="isQuiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? 'Hide' : 'Show'} {quiet.length} quiet queues
          </Button>{' '}
          <span className="muted small">
            in which nothing waits, runs or has run within the hour
          </span>
        </p>
      )}
    </>
  )
}

/** Paused or taken by nobody, stuck, waiting for longest, with dead letters, at work; then as in the catalogue. */
function byTrouble(one: QueueJob, other: QueueJob): number {
  return rank(one) - rank(other) || waitOf(other) - waitOf(one)
}

function rank(job: QueueJob): number {
  if (job.queuePaused !== null) return 0
  if ((job.isUntaken || job.isOrphaned) && job.waiting > 0) return 1
  if (job.backlog?.isStuck === true) return 2
  if (job.backlog !== null) return 3
  if (job.deadLetters > 0) return 4
  return isQuiet(job) ? 6 : 5
}

const waitOf = ({ backlog }: QueueJob) => backlog?.oldestMs ?? 0

function isQuiet(job: QueueJob): boolean {
  const { waiting, active, deadLetters, completedLastHour, failedLastHour, expiredLastHour } = job
  const ended = completedLastHour + failedLastHour + expiredLastHour
  const isIdle = waiting + active + deadLetters + ended === 0
  return isIdle && job.queuePaused === null && !job.isUntaken
}

function QueueSentence({ queue: { jobs } }: { queue: ConsoleQueue }) {
  const sum = (read: (job: QueueJob) => number) =>
    jobs.reduce((total, job) => total + read(job), 0).toLocaleString('en')
  const later = sum(({ delayed }) => delayed)
  const isLaterCut = jobs.some(({ delayed }) => delayed >= MAX_COUNTED)
  return (
    <p className="muted">
      <strong>
        {sum(({ waiting }) => waiting)}
        {jobs.some(isWaitingCut) && ' or more'}
      </strong>{' '}
      waiting
      {later === '0' ? '' : ` (${later}${isLaterCut ? ' or more' : ''} of them for later)`},{' '}
      <strong>{sum(({ active }) => active)}</strong> running,{' '}
      <strong>
        {sum(({ deadLetters }) => deadLetters)}
        {jobs.some(({ deadLetters }) => deadLetters >= MAX_COUNTED) && ' or more'}
      </strong>{' '}
      dead letters · <Link to="/limits">Limits</Link>
    </p>
  )
}

/** A number; zeros are muted, so that others stand out. */
function Quiet({ value, isCut = false }: { value: number; isCut?: boolean }) {
  return value === 0 ? <span className="muted">0</span> : <Count value={value} isCut={isCut} />
}

function Failed({ failed, ended }: { failed: number; ended: number }) {
  if (failed === 0) return <Quiet value={0} />
  const percent = Math.round((failed / ended) * 100)
  return (
    <span className="isBad isUnbroken">
      <Count value={failed} /> ({percent === 0 ? '< 1' : percent} %)
    </span>
  )
}
