import type { Run } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { startOf } from '../../api/run.ts'
import { describeCounts, placeOf, readRunDetails } from '../../api/readRunDetails.ts'
import { JobLink } from '../../parts/JobLink.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import type { Selection } from '../../parts/useSelection.ts'
import { readWorkerId } from '../worker/workerIdentity.ts'
import { formatDuration } from '../../time/formatDuration.ts'

const COLUMNS: readonly Column<Run>[] = [
  {
    header: 'Started',
    isRowHeader: true,
    isPlain: true,
    cell: (run) => (
      <Link to="/runs/$id" params={{ id: run.id }} data-row-link className="strongLink rowLink">
        <Moment at={startOf(run)} isInControl />
        <span className="srOnly">, run of {run.name}</span>
      </Link>
    ),
  },
  { header: 'Outcome', isPlain: true, cell: (run) => <StatusMark status={run.outcome} /> },
  {
    header: 'Job',
    isPlain: true,
    isFull: true,
    cell: (run) => (
      <>
        <JobLink name={run.name} className="quietLink" />
        {run.dryRun && <span className="badge isPlain">dry run</span>}
        {run.label !== null && <span className="isCut isBlock muted">{run.label}</span>}
      </>
    ),
  },
  {
    header: 'Duration',
    align: 'end',
    cell: (run) =>
      run.durationMs === null ? <Elapsed since={startOf(run)} /> : formatDuration(run.durationMs),
  },
  {
    header: 'Trigger',
    cell: (run) => (
      <>
        {run.trigger}
        {run.attempt > 1 && <span className="muted">, attempt {run.attempt}</span>}
      </>
    ),
  },
  {
    header: 'Worker',
    isPlain: true,
    // A card has no room for it.
    isEmpty: () => true,
    cell: ({ workerId }) => (
      <span className="isCut isBlock" title={workerId}>
        {readWorkerId(workerId)?.host ?? workerId}
      </span>
    ),
  },
  { header: 'Result', isWide: true, isPlain: true, cell: (run) => <Telling run={run} /> },
]

interface RunTableProps {
  runs: readonly Run[]
  /** Absent for people who may only look. */
  selection?: Selection | undefined
}

export function RunTable({ runs, selection }: RunTableProps) {
  return (
    <DataTable
      caption="Runs"
      columns={COLUMNS}
      rows={runs}
      keyOf={({ id }) => id}
      nameOf={({ name, label, startedAt }) =>
        `run of ${[name, label].filter(Boolean).join(', ')}, started ${startedAt}`
      }
      {...(selection && { selection })}
    />
  )
}

/** The most telling fact about a run: its progress, its error, or its counts. */
function Telling({ run }: { run: Run }) {
  const details = readRunDetails(run.details)
  const { error } = details
  if (run.status === 'running') {
    return run.progress === null ? (
      <span className="muted">under way</span>
    ) : (
      <ProgressBar progress={run.progress} label={`Progress of ${run.name}`} />
    )
  }
  if (error !== null) {
    const [frame] = error.frames
    const place = frame === undefined ? null : placeOf(frame)
    return (
      <span className="isCut isBlock" title={error.message ?? undefined}>
        <code>{error.code}</code> <span className="muted">{error.message ?? error.name}</span>
        {place !== null && <code className="muted"> {place}</code>}
      </span>
    )
  }
  const text = describeCounts(details)
  if (text === 'nothing to do') return <span className="muted">{text}</span>
  return <span className="isCut isBlock">{text}</span>
}
