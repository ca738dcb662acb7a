import type { TraceContext } from '../job/enqueue.ts'
import type { JobTrigger } from '../job/handler.ts'
import type { WorkLabel } from '../job/labelWork.ts'

/** A payload with what its runs need. */
export interface Envelope extends Partial<WorkLabel> {
  payload: unknown
  trigger: JobTrigger
  /** ISO 8601. */
  scheduledFor?: string
  /** Of a keyed schedule's work. `previousAt`: ISO 8601. */
  schedule?: { key: string; timeZone: string; previousAt: string | null }
  dryRun?: boolean
  actor?: string
  reason?: string
  /** How many rows its runs may change in all, by a person's approval, even where their guard refuses. */
  approvedRows?: number
  /** ISO 8601. The approval has ended then. */
  approvedUntil?: string
  /** ISO 8601. No attempt starts after it. */
  expiresAt?: string
  /** How many attempts there were at the work that it has replaced: their runs had another payload. Absent: none. */
  attemptsBefore?: number
  /** How many attempts in a row a service has refused. Absent: none. */
  refused?: number
  /** How many attempts in a row have found no payload. Absent: none. */
  payloadMissing?: number
  /** How often its steps were started again. Absent: never. */
  generation?: number
  /** The durable work is cancelled: its waits throw, so that its handler can undo earlier steps. */
  cancelled?: boolean
  /** When durable work started first, by the database's clock. Absent: it has had no run that ended. */
  begunAt?: string
  /** The trace context in which it was enqueued. Absent: nothing traced that. */
  trace?: TraceContext
  /** The run whose handler has enqueued it. */
  parent?: string
  /** A step of its parent waits for it: its end is written into JobChild. */
  child?: true
  /** The part of the host that has enqueued it, by the host's own name. */
  enqueuedBy?: string
}

/** The parts of an envelope that have no column of their own. Most work has none: then the column is null. */
export type Facts = Partial<Omit<Envelope, 'payload' | 'label'>>

/** The columns of a piece of work that hold its envelope. */
export interface EnvelopeRow {
  payload: unknown
  /** The length of the payload's JSON. 0: the payload was undefined, which JSON does not have. */
  bytes: number
  label: string | null
  facts: Facts | null
}

export function toFacts({
  payload: _payload,
  label: _label,
  trigger,
  ...others
}: Envelope): Facts | null {
  const facts = { ...(trigger !== 'queue' && { trigger }), ...others }
  return Object.keys(facts).length === 0 ? null : facts
}

/** The length of JSON's null. A missing payload with fewer bytes is that of a row which was made by hand without one. */
const NULL_BYTES = 4

export function readPayload({ payload, bytes }: Pick<EnvelopeRow, 'payload' | 'bytes'>): unknown {
  if (bytes === 0) return undefined
  return payload === null && bytes < NULL_BYTES ? {} : payload
}
