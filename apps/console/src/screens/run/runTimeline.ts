import type { RunDetail } from '@roundsman/admin/contract'
import { batchSpans, type BatchSpan } from './batchSpans.ts'
import { readRunDetails } from '../../api/readRunDetails.ts'
import { clockAheadMs, startOf } from '../../api/run.ts'
import { OUTCOME_WORDS } from '../../api/runOutcome.ts'
import { formatAhead, formatDuration } from '../../time/formatDuration.ts'

export interface TimelineStep {
  key: string
  label: string
  /** Null for a step that has not happened yet, or has no instant. */
  at: string | null
  note: string | null
  state: 'done' | 'now' | 'failed' | 'ahead'
  /** The batches with their counts and times, if they are known. */
  batches?: BatchSpan[]
}

/** The steps of a run, in order. The step that came late tells how late. */
export function runTimeline(run: RunDetail): TimelineStep[] {
  const steps: TimelineStep[] = []
  const { counts, error } = readRunDetails(run.details)
  if (run.scheduledFor !== null) {
    steps.push({ key: 'due', label: 'Due', at: run.scheduledFor, note: null, state: 'done' })
  }
  const enqueuedAt = run.enqueuedAt ?? null
  if (enqueuedAt !== null) {
    const note = between(run.scheduledFor, enqueuedAt, 'after it was due')
    steps.push({ key: 'enqueued', label: 'Enqueued', at: enqueuedAt, note, state: 'done' })
  }
  if (run.dueAt !== null) {
    const label = run.attempt > 1 ? 'Due again' : 'Due'
    const before = run.attempts.findLast(({ attempt }) => attempt < run.attempt)
    const note = before?.endedAt
      ? between(before.endedAt, run.dueAt, `after attempt ${before.attempt}`)
      : null
    steps.push({ key: 'dueAgain', label, at: run.dueAt, note, state: 'done' })
  }
  steps.push({
    key: 'started',
    label: run.attempt > 1 ? `Started, attempt ${run.attempt}` : 'Started',
    at: run.startedAt,
    note: [lateness(run), describeClock(run)].filter((text) => text !== null).join('; ') || null,
    state: 'done',
  })
  const batches = counts.find(({ name }) => name === 'batches')?.value
  if (batches !== undefined) {
    const label = batches === 1 ? '1 batch' : `${batches.toLocaleString('en')} batches`
    const state = run.status === 'running' ? 'now' : 'done'
    steps.push({
      key: 'batches',
      label,
      // All batches are done once the last one is.
      at: run.batchMarks.at(-1)?.at ?? null,
      note: perBatch(run, batches),
      state,
      batches: batchSpans(run),
    })
  }
  if (run.cancelRequestedAt !== null) {
    const note = run.cancelRequestedBy === null ? null : by(run.cancelRequestedBy, 'cancel', run)
    steps.push({
      key: 'cancel',
      label: 'Asked to stop',
      at: run.cancelRequestedAt,
      note,
      state: 'done',
    })
  }
  steps.push(end(run, error?.code ?? null))
  if (run.approvedAt !== null) {
    const note = run.approvedBy === null ? null : by(run.approvedBy, 'approve', run)
    steps.push({ key: 'approved', label: 'Approved', at: run.approvedAt, note, state: 'done' })
  }
  return steps.toSorted(byInstant)
}

/**
 * How long after its due time, or after it was enqueued, a run began. Null when neither is known: a retried run did not
 * wait since then.
 */
export function latenessMs(
  run: Pick<
    RunDetail,
    'scheduledFor' | 'enqueuedAt' | 'startedAt' | 'createdAt' | 'dueAt' | 'attempt'
  >,
): number | null {
  const first = run.attempt > 1 ? null : (run.scheduledFor ?? run.enqueuedAt)
  const since = run.dueAt ?? first ?? null
  return since === null ? null : Date.parse(startOf(run)) - Date.parse(since)
}

/** Says who did it, and why: a run has its own reason, and later actions on it have theirs. */
function by(actor: string, kind: string, { actions }: RunDetail): string {
  const reason = actions.find(({ action }) => action === kind)?.reason ?? ''
  return reason === '' ? `by ${actor}` : `by ${actor}: ${reason}`
}

/** The last step: how the run ended, or that it has not ended yet. */
function end(run: RunDetail, code: string | null): TimelineStep {
  if (run.endedAt === null) {
    return { key: 'ended', label: 'Ends', at: null, note: null, state: 'ahead' }
  }
  const duration = `after ${formatDuration(run.durationMs ?? 0)}`
  return run.status === 'failed'
    ? {
        key: 'ended',
        label: OUTCOME_WORDS[run.outcome],
        at: run.endedAt,
        note: `${duration}${code === null ? '' : `, ${code}`}`,
        state: 'failed',
      }
    : { key: 'ended', label: 'Ended', at: run.endedAt, note: duration, state: 'done' }
}

/** Says `its worker’s clock was 37 min ahead`: what the run's start and end are recorded by. */
export function describeClock(run: Pick<RunDetail, 'startedAt' | 'createdAt'>): string | null {
  const aheadMs = clockAheadMs(run)
  return aheadMs === null ? null : `its worker’s clock was ${formatAhead(aheadMs)}`
}

/** The note of the start. From the enqueue on, since a step of its own says how late that was. */
function lateness(run: RunDetail): string | null {
  if (run.dueAt !== null) return between(run.dueAt, startOf(run), 'after it was due')
  if (run.attempt > 1) return null
  const from = run.enqueuedAt ?? run.scheduledFor ?? null
  return between(from, startOf(run), run.enqueuedAt == null ? 'after it was due' : 'in the queue')
}

function between(from: string | null, to: string, what: string): string | null {
  if (from === null) return null
  return `${formatDuration(Date.parse(to) - Date.parse(from))} ${what}`
}

function perBatch(run: RunDetail, batches: number): string | null {
  if (run.durationMs === null || batches === 0) return null
  return `${formatDuration(run.durationMs / batches)} each on average`
}

/** Sorts by instant. Steps without one stay where they are. */
function byInstant(a: TimelineStep, b: TimelineStep): number {
  return a.at === null || b.at === null ? 0 : Date.parse(a.at) - Date.parse(b.at)
}
