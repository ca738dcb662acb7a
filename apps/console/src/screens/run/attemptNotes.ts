import type { RunDetail } from '../../api/run.ts'
import { formatDuration } from '../../time/formatDuration.ts'

export type Attempt = RunDetail['attempts'][number]

/** All attempts at the work of a run, in their order. */
export function allAttempts(run: RunDetail): Attempt[] {
  const { id, attempt, status, outcome, startedAt, endedAt, dueAt, errorCode } = run
  const own: Attempt = { id, attempt, status, outcome, startedAt, endedAt, dueAt, errorCode }
  return [...run.attempts, own].toSorted(
    (a, b) => a.attempt - b.attempt || Date.parse(a.startedAt) - Date.parse(b.startedAt),
  )
}

/**
 * What passed before an attempt started: the back-off that the job wanted, and how long after that a worker took it. Of an
 * attempt that does not say when it was due, the whole time since the one before.
 */
export function waitOf(attempt: Attempt, before: Attempt | undefined): string | null {
  const { startedAt, dueAt } = attempt
  const ended = before?.endedAt ?? null
  const pause =
    before === undefined || ended === null
      ? null
      : `${span(ended, dueAt ?? startedAt)} after attempt ${before.attempt}`
  if (dueAt === null) return pause
  const late = `started ${span(dueAt, startedAt)} after it was due`
  return pause === null ? late : `due ${pause}, ${late}`
}

export function span(from: string, to: string): string {
  // The clocks of two machines may differ by a little.
  return formatDuration(Math.max(0, Date.parse(to) - Date.parse(from)))
}
