import type { RunStatus } from '@roundsman/api/console'

const MARKS = {
  success: { path: 'M3.5 8.5l3 3 6-7', label: 'Success' },
  failed: { path: 'M4 4l8 8M12 4l-8 8', label: 'Failed' },
  running: { path: 'M5.5 3.5l6.5 4.5-6.5 4.5z', label: 'Running' },
} satisfies Record<RunStatus, { path: string; label: string }>

/** What became of a run: a shape, a word and a colour, each of which is enough. */
export function StatusMark({ status, label }: { status: RunStatus; label?: string }) {
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
