import type { ConsoleJob } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { RunStrip } from '../../charts/RunStrip.tsx'
import { JobLink } from '../../parts/JobLink.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useClock } from '../../services/useClock.ts'
import { useServices } from '../../services/useServices.ts'
import { formatRoughDuration } from '../../time/formatDuration.ts'
import { differsFromViewer, formatShort } from '../../time/formatExact.ts'
import { shareOf } from '../limit/shareOf.ts'
import { JobMenu } from './JobMenu.tsx'

const COLUMNS: readonly Column<ConsoleJob>[] = [
  {
    header: 'Job',
    isRowHeader: true,
    isPlain: true,
    isFull: true,
    cell: ({ name, description, queuePaused }) => (
      <>
        <JobLink name={name} data-row-link className="strongLink rowLink isCut isBlock" />
        <span className="rowNote isCut isBlock" title={description}>
          {queuePaused === null ? description : <strong>Queue paused</strong>}
        </span>
      </>
    ),
  },
  { header: 'Schedule', isPlain: true, isFull: true, cell: (job) => <Schedule job={job} /> },
  { header: 'Next', isPlain: true, cell: (job) => <Next job={job} /> },
  { header: 'Last run', isPlain: true, cell: (job) => <LastRun job={job} /> },
  {
    header: 'Last 60 runs',
    isPlain: true,
    isFull: true,
    cell: ({ name, recentRuns }) => <RunStrip name={name} runs={recentRuns} />,
  },
  {
    header: 'Failed',
    isPlain: true,
    cell: (job) => (
      <>
        <Failures job={job} />
        <Expired job={job} />
      </>
    ),
  },
  { header: 'Actions', isPlain: true, isMenu: true, cell: (job) => <JobMenu job={job} /> },
]

export function JobTable({ jobs }: { jobs: readonly ConsoleJob[] }) {
  return (
    <div className="panel isFlush jobTable">
      <DataTable
        caption="Jobs"
        columns={COLUMNS}
        rows={jobs.toSorted(byTrouble)}
        keyOf={({ name }) => name}
        rowClass={(job) => (hasTrouble(job) ? 'hasTrouble' : undefined)}
      />
    </div>
  )
}

/** Puts jobs that need somebody first, then paused ones; the others stay in the order of the catalogue. */
function byTrouble(one: ConsoleJob, other: ConsoleJob): number {
  return rank(one) - rank(other) || failing(other) - failing(one)
}

function hasTrouble({ schedule, isFailing }: ConsoleJob): boolean {
  return schedule?.lateMs != null || isFailing
}

function rank(job: ConsoleJob): number {
  if (job.schedule?.lateMs != null) return 0
  if (job.isFailing) return 1
  return job.paused === null && job.queuePaused === null ? 3 : 2
}

function failing({ isFailing, failures }: ConsoleJob): number {
  return isFailing && failures !== null ? failures.failed / failures.runs : 0
}

/** The schedule in words, with its zone if the clocks there differ from the reader's. */
function Schedule({ job: { schedule } }: { job: ConsoleJob }) {
  const { clock } = useServices()
  if (schedule === null) return <span className="muted isCut isBlock">On request only</span>
  const { words, cron, timeZone } = schedule
  const isElsewhere = differsFromViewer(new Date(clock.now()).toISOString(), timeZone)
  return (
    <>
      <span className="isCut isBlock" title={`${words} (${cron})`}>
        {words}
      </span>
      <span className="rowNote isCut isBlock">{isElsewhere ? timeZone : <code>{cron}</code>}</span>
    </>
  )
}

function Next({ job: { schedule, paused } }: { job: ConsoleJob }) {
  if (paused !== null) {
    const { at, by, reason } = paused
    const why = [by === null ? '' : `by ${by}`, reason ?? ''].filter((text) => text !== '')
    return (
      <>
        <span>
          <span className="badge isPaused">Paused</span> <Moment at={at} />
        </span>
        <span className="rowNote isCut isBlock" title={why.join(': ')}>
          {why.join(': ')}
        </span>
      </>
    )
  }
  if (schedule === null) return null
  const { nextAt, lateMs, timeZone } = schedule
  if (nextAt === null) return <span className="muted">Never again</span>
  return (
    <>
      <span className="isBlock">
        {lateMs === null ? (
          <Moment at={nextAt} isToCome timeZone={timeZone} />
        ) : (
          <span className="badge isLate">{formatRoughDuration(lateMs)} late</span>
        )}
      </span>
      <span className="rowNote isBlock">{formatShort(nextAt)}</span>
    </>
  )
}

function LastRun({ job: { lastRun, name } }: { job: ConsoleJob }) {
  if (lastRun === null) return <span className="muted">Never run</span>
  return (
    <Link to="/runs/$id" params={{ id: lastRun.id }} className="quietLink">
      <StatusMark status={lastRun.outcome} />
      <span className="rowNote isBlock">
        {lastRun.endedAt === null ? (
          <>
            for <Elapsed since={lastRun.startedAt} />
          </>
        ) : (
          <Moment at={lastRun.endedAt} isInControl />
        )}
      </span>
      <span className="srOnly">, last run of {name}</span>
    </Link>
  )
}

/** Of the runs in the strip, those whose work was not started in time: no failure of the job counts them. */
function Expired({ job: { name, recentRuns } }: { job: ConsoleJob }) {
  const expired = recentRuns.filter(({ outcome }) => outcome === 'expired').length
  if (expired === 0) return null
  return (
    <Link to="/runs" search={{ name, outcome: 'expired' }} className="rowNote isBlock">
      {expired} of {recentRuns.length} expired
    </Link>
  )
}

/** The failures of the last hour, if there are any. */
function Failures({ job: { name, failures, isFailing } }: { job: ConsoleJob }) {
  const text = useClock((now) => (failures === null ? '' : describeFailures(failures, now)))
  if (failures === null) return null
  return (
    <Link
      to="/runs"
      search={{ name, status: 'failed', from: failures.from }}
      className="quietLink"
      data-tip={`${failures.withCode} × ${failures.code}`}
    >
      <span className={isFailing ? 'isBad isBlock' : 'isBlock'}>
        {shareOf(failures.failed, failures.runs)}
      </span>
      <span className="rowNote isBlock">{text.replace(' failed', '')}</span>
    </Link>
  )
}

const HOUR_MS = 3_600_000

/** Says `14 of 27 failed in 1 h`; of the latest runs alone if there are too many to count. */
function describeFailures(
  { runs, failed, from, isCut }: NonNullable<ConsoleJob['failures']>,
  now: number,
): string {
  const spanMs = isCut ? Math.max(1_000, now - Date.parse(from)) : HOUR_MS
  const count = (value: number) => value.toLocaleString('en')
  return `${count(failed)} of ${count(runs)} failed in ${formatRoughDuration(spanMs)}`
}
