import type { ConsoleQueue } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { Button } from '../../parts/Button.tsx'
import { queueQuery } from '../../api/queries.ts'
import { EndedChart } from '../../charts/EndedChart.tsx'
import { Count, counted } from '../../parts/Count.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { shareOf } from '../limit/shareOf.ts'
import { QueueMenu, QueueState } from './QueueState.tsx'

type QueueJob = ConsoleQueue['jobs'][number]

const COLUMNS: readonly Column<QueueJob>[] = [
  {
    header: 'Job',
    isRowHeader: true,
    isFull: true,
    isPlain: true,
    cell: ({ name }) => <JobLink name={name} />,
  },
  {
    header: 'Waiting',
    align: 'end',
    isEmpty: ({ waiting }) => waiting === 0,
    cell: ({ name, waiting, delayed, isWaitingCut }) =>
      waiting > 0 && (
        <span className="stacked">
          <Link to="/waiting" search={{ name }} aria-label={`${waiting} waiting of ${name}`}>
            <Count value={waiting} isCut={isWaitingCut} />
          </Link>
          {delayed > 0 && (
            <span className="muted small">
              <Count value={delayed} /> for later
            </span>
          )}
        </span>
      ),
  },
  {
    header: 'Oldest',
    align: 'end',
    isEmpty: ({ oldestWaitingAt }) => oldestWaitingAt === null,
    cell: ({ oldestWaitingAt }) =>
      oldestWaitingAt !== null && <Moment at={oldestWaitingAt} isToCome />,
  },
  {
    header: 'Running',
    align: 'end',
    isEmpty: ({ active }) => active === 0,
    cell: ({ name, active }) =>
      active > 0 && (
        <Link
          to="/runs"
          search={{ name, status: 'running' }}
          aria-label={`${active} running of ${name}`}
        >
          <Count value={active} />
        </Link>
      ),
  },
  {
    header: 'Done in 1 h',
    align: 'end',
    isEmpty: ({ completedLastHour }) => completedLastHour === 0,
    cell: ({ completedLastHour }) => completedLastHour > 0 && <Count value={completedLastHour} />,
  },
  {
    header: 'Failed in 1 h',
    align: 'end',
    isEmpty: ({ failedLastHour, expiredLastHour }) => failedLastHour + expiredLastHour === 0,
    cell: (job) => <Failed job={job} />,
  },
  {
    header: 'Dead letters',
    align: 'end',
    isEmpty: ({ deadLetters }) => deadLetters === 0,
    cell: ({ name, deadLetters, areDeadLettersCut }) =>
      deadLetters > 0 && (
        <Link
          to="/dead-letters"
          search={{ name }}
          aria-label={`${deadLetters} dead letters of ${name}`}
        >
          <Count value={deadLetters} isCut={areDeadLettersCut} />
        </Link>
      ),
  },
  {
    header: 'State',
    isPlain: true,
    isFull: true,
    isWide: true,
    isEmpty: ({ backlog, queuePaused, isUntaken, isOrphaned }) =>
      backlog === null && queuePaused === null && !isUntaken && !isOrphaned,
    cell: (job) => (
      <>
        <QueueState queue={job} />
        {job.backlog !== null && job.queuePaused === null && !job.isUntaken && (
          <span className={job.backlog.isStuck ? 'isBad isWrapped' : 'muted isWrapped'}>
            {job.backlog.state}
          </span>
        )}
      </>
    ),
  },
  { header: 'Actions', isPlain: true, isMenu: true, cell: (job) => <QueueMenu queue={job} /> },
]

export function QueuesScreen(): ReactNode {
  const { api } = useServices()
  const queue = useQuery(queueQuery(api))
  return (
    <>
      <ScreenHeader
        title="Queues"
        lead={
          queue.data === undefined ? <Skeleton kind="line" /> : <QueueSentence queue={queue.data} />
        }
      />
      <QueryView query={queue} skeleton={<Skeleton kind="panel" count={2} />}>
        {(data) => (
          <>
            <div className="panel isFlush">
              <QueueTable jobs={data.jobs} />
            </div>
            <Panel title="Ended by minute" aside={<span className="muted">last hour</span>}>
              <EndedChart title="Runs by minute" spans={data.throughput} lengthMs={60_000} />
            </Panel>
          </>
        )}
      </QueryView>
    </>
  )
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
  const sum = (read: (job: QueueJob) => number, isCut: (job: QueueJob) => boolean = () => false) =>
    counted(
      jobs.reduce((total, job) => total + read(job), 0),
      jobs.some(isCut),
    )
  const later = sum(({ delayed }) => delayed)
  return (
    <p className="muted">
      <strong>
        {sum(
          ({ waiting }) => waiting,
          ({ isWaitingCut }) => isWaitingCut,
        )}
      </strong>{' '}
      waiting
      {later !== '0' && ` (${later} of them for later)`},{' '}
      <strong>{sum(({ active }) => active)}</strong> running,{' '}
      <strong>
        {sum(
          ({ deadLetters }) => deadLetters,
          ({ areDeadLettersCut }) => areDeadLettersCut,
        )}
      </strong>{' '}
      dead letters
    </p>
  )
}

function Failed({ job }: { job: QueueJob }) {
  const { name, failedLastHour: failed, completedLastHour, expiredLastHour: expired } = job
  return (
    <span className="stacked">
      {failed > 0 && (
        <span className="isBad isUnbroken">
          <Count value={failed} /> ({shareOf(failed, failed + completedLastHour)})
        </span>
      )}
      {expired > 0 && (
        <Link to="/runs" search={{ name, outcome: 'expired' }} className="small isUnbroken">
          <Count value={expired} /> expired
        </Link>
      )}
    </span>
  )
}
