import type { RunOutcome } from '@roundsman/admin/contract'
import { OUTCOME_WORDS } from '../api/runOutcome.ts'

const SHAPES = {
  success: 'M3.5 8.5l3 3 6-7',
  failed: 'M4 4l8 8M12 4l-8 8',
  running: 'M5.5 3.5l6.5 4.5-6.5 4.5z',
  cancelled: 'M3.5 8h9',
  blocked: 'M5.5 3.5v9M10.5 3.5v9',
  lost: 'M8 3v6M8 12v1',
  expired: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3l2 1.5',
  suspended: 'M5 3h6M5 13h6M5.5 3c0 5 5 5 5 10M10.5 3c0 5-5 5-5 10',
  givenBack: 'M12.5 11H6a3 3 0 010-6h6M9.5 2L12.5 5l-3 3',
} satisfies Record<RunOutcome, string>

/** The outcome of a run: a shape, a word and a colour, each of which is enough. */
export function StatusMark({ status, label }: { status: RunOutcome; label?: string }) {
  return (
    <span className={`statusMark is-${status}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={SHAPES[status]} />
      </svg>
      {label ?? OUTCOME_WORDS[status]}
    </span>
  )
}
