import type { RunDetail } from '@roundsman/admin/contract'
import { DANGEROUS_LOSSES } from '../../actions/action.ts'
import { Link } from '@tanstack/react-router'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { formatDuration } from '../../time/formatDuration.ts'

/** This run among all attempts at the same work, in their order. */
export function Attempts({ run }: { run: RunDetail }) {
  const all = allAttempts(run)
  return (
    <ol className="lines">
      {all.map((attempt, index) => (
        <li key={attempt.id} {...(attempt.id === run.id && { 'aria-current': true })}>
          <div className="lineItem">
            {attempt.id === run.id ? (
              <strong>Attempt {attempt.attempt}, this one</strong>
            ) : (
              <Link to="/runs/$id" params={{ id: attempt.id }}>
                Attempt {attempt.attempt}
              </Link>
            )}
            <span className="lineEnd">
              <StatusMark status={attempt.outcome} />
              <Moment at={attempt.startedAt} />
            </span>
          </div>
          <p className="muted">{describeAttempt(attempt, all[index - 1])}</p>
        </li>
      ))}
      <Next run={run} next={(all.at(-1)?.attempt ?? 0) + 1} />
    </ol>
  )
}

/** What comes next, and why there may be more attempts than the job has retries. */
function Next({ run, next }: { run: RunDetail; next: number }) {
  const losses = countLosses(run)
  const { nextAt } = run.work
  if (losses < DANGEROUS_LOSSES) {
    return (
      <>
        {nextAt !== null && (
          <li className="muted">
            Attempt {next} is due <Moment at={nextAt} isToCome />
          </li>
        )}
        {losses === 1 && (
          <li className="muted">Its worker was lost once, which uses up no retry.</li>
        )}
      </>
    )
  }
  return (
    <li className="muted">
      Its worker was lost {losses.toLocaleString('en')} times, which uses up no retry
      {nextAt !== null && (
        <>
          ; it waits to run alone, due <Moment at={nextAt} isToCome />
        </>
      )}
    </li>
  )
}

/** How many workers the work of a run has ended that is not done. */
export function countLosses(run: RunDetail): number {
  if (run.work.losses !== null) return run.work.losses
  const all = allAttempts(run)
  if (all.at(-1)?.outcome === 'success') return 0
  return all.filter(({ outcome }) => outcome === 'lost').length
}

export function describeAttempt(attempt: Attempt, before: Attempt | undefined): string {
  const { startedAt, endedAt, errorCode, outcome } = attempt
  // There is no record of when its process died.
  const how = outcome === 'lost' ? 'noticed after' : 'took'
  const took = endedAt === null ? null : `${how} ${span(startedAt, endedAt)}`
  return [errorCode, waitOf(attempt, before), took].filter((part) => part !== null).join(' · ')
}

type Attempt = RunDetail['attempts'][number]

/** All attempts at the work of a run, in their order. */
export function allAttempts(run: RunDetail): Attempt[] {
  const { id, attempt, status, outcome, startedAt, endedAt, dueAt, errorCode } = run
  const own: Attempt = { id, attempt, status, outcome, startedAt, endedAt, dueAt, errorCode }
  return [...run.attempts, own].toSorted(
    (a, b) => a.attempt - b.attempt || Date.parse(a.startedAt) - Date.parse(b.startedAt),
  )
}

/**
 * Says how long an attempt waited before it started: the job's back-off, and then for a worker. If it does not tell
 * when it was due, the whole time since the attempt before.
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

function span(from: string, to: string): string {
  // Clocks of two machines may differ a little.
  return formatDuration(Math.max(0, Date.parse(to) - Date.parse(from)))
}
