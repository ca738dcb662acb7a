import type { JobTrigger } from '../job/handler.ts'
import type { TraceContext } from '../job/enqueue.ts'
import { MAX_LABEL_LENGTH, readShown, type Shown, type WorkLabel } from '../job/labelWork.ts'
import { cutBetweenCharacters } from '../job/storableText.ts'

/** A payload with what its runs need: the `data` of the queue's row. */
export interface Envelope {
  payload: unknown
  trigger: JobTrigger
  scheduledFor?: string
  dryRun?: boolean
  actor?: string
  reason?: string
  /** The label and the parts of the payload that people see. Absent: none. */
  label?: string
  shown?: Shown
  /** How many rows somebody has approved its runs to change in all, whatever their guard says. */
  approvedRows?: number
  /** ISO 8601. The approval has ended then. */
  approvedUntil?: string
  /** ISO 8601. No attempt starts after it. */
  expiresAt?: string
  /** It replaces work that waits with its unique key. The work is due at most `maxWaitMs` after the first was enqueued. */
  replaces?: { maxWaitMs?: number }
  /** How many attempts there were at the work that it has replaced: their runs had another payload. Absent: none. */
  attemptsBefore?: number
  /** The id of the work that took its unique key while it ran. No further attempt of it starts. */
  replacedBy?: string
  /** The trace context in which it was enqueued. Absent: nothing traced that. */
  trace?: TraceContext
  /** How often its worker was lost while it ran, or it was suspected of a crash; absent: never. The rescue counts. */
  lost?: number
  /** How many of these losses came while nothing else ran in the process. */
  lostAlone?: number
}

/** Reads a stored label, which anybody may have written. */
export function readLabel({
  label,
  shown: stored,
}: {
  label?: unknown
  shown?: unknown
}): WorkLabel {
  const shown = readShown(stored)
  return {
    ...(typeof label === 'string' && {
      label: cutBetweenCharacters(label, MAX_LABEL_LENGTH),
    }),
    ...(shown !== null && { shown }),
  }
}
