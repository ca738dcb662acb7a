import type { Logger } from './logger.ts'
import { judge } from '../values/askSchema.ts'
import type { Job } from './defineJob.ts'
import { createMask } from '../values/maskText.ts'
import { readPart } from '../values/readPart.ts'
import { storable } from '../values/storable.ts'
import { storableText } from '../values/storableText.ts'

/** The visible facts of a piece of work: the only parts of its payload that leave the queue's table. */
export interface WorkLabel {
  label?: string
  shown?: Shown
}

/** The parts of the payload that the job's `show` names. */
export type Shown = { [name: string]: string | number | boolean | null }

const MAX_LABEL_LENGTH = 200
const MAX_SHOWN_LENGTH = 200
/** A list or an object with more JSON than this is shown as `[too large]`. */
const MAX_SHOWN_BYTES = 4_000

type Labelled = Pick<Job, 'name'> & Partial<Pick<Job, 'label' | 'show' | 'redact'>>

/**
 * Makes the label of a payload that the job's schema has accepted. The label function is foreign code: if it throws or returns
 * no text, the work has no label, and a warning is logged.
 */
export function labelWork(job: Labelled, accepted: unknown, log: Pick<Logger, 'warn'>): WorkLabel {
  const { label = null, show = [] } = job
  if (label === null && show.length === 0) return {}
  const text = label === null ? null : makeLabel(job, label, accepted, log)
  const shown = pickShown(show, accepted)
  return { ...(text !== null && { label: text }), ...(shown !== null && { shown }) }
}

/** The same for a payload that no schema has checked. A payload that the schema refuses gets no label. */
export function labelPayload(
  job: Labelled & Pick<Job, 'payload'>,
  payload: unknown,
  log: Pick<Logger, 'warn'>,
): WorkLabel {
  if ((job.label ?? null) === null && (job.show ?? []).length === 0) return {}
  const answer = judge(job.payload, payload)
  return answer.kind === 'accepted' ? labelWork(job, answer.value, log) : {}
}

/** Calls the job's label function. Returns null, and logs the reason, if it throws or returns no text. */
function makeLabel(
  { name, redact }: Labelled,
  label: NonNullable<Job['label']>,
  accepted: unknown,
  log: Pick<Logger, 'warn'>,
): string | null {
  try {
    const said: unknown = label(accepted as never)
    if (typeof said === 'string') return toLabel(said)
    if (typeof (said as { then?: unknown } | null | undefined)?.then === 'function')
      Promise.resolve(said).catch(() => undefined)
    throw new TypeError(`It returned ${said === null ? 'null' : typeof said} instead of a text`)
  } catch (error) {
    const problem = storableText(createMask(redact)(storableText(error)), MAX_SHOWN_LENGTH)
    log.warn({ name, problem }, 'the label function of a job failed: its work has no label')
    return null
  }
}

/** Puts a label on one line. Null if it is blank. */
function toLabel(said: string): string | null {
  // Cut first, since processing a very long white space would take long.
  const text = said
    .slice(0, 2 * MAX_LABEL_LENGTH)
    .replaceAll(/\s+/g, ' ')
    .trim()
  return text === '' ? null : storableText(text, MAX_LABEL_LENGTH - 1)
}

/**
 * Reads stored parts of a payload as if a job showed them. The stored value may come from any program. Null if there are none.
 */
export function readShown(stored: unknown): Shown | null {
  return pickShown(Object.keys(stored ?? {}), stored)
}

function pickShown(show: readonly string[], accepted: unknown): Shown | null {
  if (typeof accepted !== 'object' || accepted === null) return null
  const shown: Shown = {}
  for (const name of show) {
    const value = toShown(readPart(accepted, name))
    if (value !== undefined) shown[name] = value
  }
  return Object.keys(shown).length === 0 ? null : shown
}

function toShown(value: unknown): Shown[string] | undefined {
  if (typeof value === 'string') return storableText(value, MAX_SHOWN_LENGTH)
  const copy = storable(value, MAX_SHOWN_BYTES)
  if (copy.kind === 'tooLarge') return '[too large]'
  const made = copy.value
  if (typeof made === 'string') return storableText(made, MAX_SHOWN_LENGTH)
  if (typeof made !== 'object' || made === null) return made
  return storableText(JSON.stringify(made), MAX_SHOWN_LENGTH)
}
