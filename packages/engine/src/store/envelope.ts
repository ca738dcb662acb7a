import type { JobTrigger, TraceContext } from '../index.ts'
import { MAX_LABEL_LENGTH, type Shown, type WorkLabel } from '../job/labelWork.ts'
import { cutBetweenCharacters } from '../job/storableText.ts'

/** What travels with a payload, for the run that it will become. */
export interface Envelope {
  payload: unknown
  trigger: JobTrigger
  scheduledFor?: string
  dryRun?: boolean
  actor?: string
  reason?: string
  /** What people see of it. Absent: nothing. */
  label?: string
  shown?: Shown
  /** How many rows the run may change whatever its guard says: somebody has approved it. */
  approvedRows?: number
  /** ISO 8601. No attempt starts after it. */
  expiresAt?: string
  /** It replaces what waits with its unique key, and with that is due so long after the first of them at the latest. */
  replaces?: { maxWaitMs?: number }
  /** It ran when other work took its unique key: that one's id. No other attempt of it starts. */
  replacedBy?: string
  /** Where it was enqueued, if that was traced. */
  trace?: TraceContext
  /** How often its worker was lost while it ran, or it was suspected of a crash; absent: never. The rescue counts. */
  lost?: number
  /** How often of these nothing else ran in its process. */
  lostAlone?: number
}

/** What people see of work or a run, as it was stored: by whomever. */
export function readLabel({ label, shown }: { label?: unknown; shown?: unknown }): WorkLabel {
  return {
    ...(typeof label === 'string' && {
      label: cutBetweenCharacters(label, MAX_LABEL_LENGTH),
    }),
    ...(typeof shown === 'object' && shown !== null && { shown: shown as Shown }),
  }
}
