import type { RunOutcome } from '../api/runOutcome.ts'

const MARKS = {
  success: { path: 'M3.5 8.5l3 3 6-7', label: 'Success' },
  failed: { path: 'M4 4l8 8M12 4l-8 8', label: 'Failed' },
  running: { path: 'M5.5 3.5l6.5 4.5-6.5 4.5z', label: 'Running' },
  cancelled: { path: 'M3.5 8h9', label: 'Cancelled' },
  blocked: { path: 'M5.5 3.5v9M10.5 3.5v9', label: 'Blocked' },
  lost: { path: 'M8 3v6M8 12v1', label: 'Worker lost' },
  expired: { path: 'M8 3v5l4 2', label: 'Expired' },
  givenBack: { path: 'M12.5 11H6a3 3 0 010-6h6M9.5 2L12.5 5l-3 3', label: 'Given back' },
} satisfies Record<RunOutcome, { path: string; label: string }>

/** What became of a run: a shape, a word and a colour, each of which is enough. */
export function StatusMark({ status, label }: { status: RunOutcome; label?: string }) {
  const mark = MARKS[status]
  return (
    <span className={`statusMark is-${status}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={mark.path} />
      </svg>
      {label ?? mark.label}
    </span>
  )
}
