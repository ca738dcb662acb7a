import { Link } from '@tanstack/react-router'
import type { RunDetail } from '../../api/run.ts'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { allAttempts, span, waitOf, type Attempt } from './attemptNotes.ts'

/** This run among the others of the same work, in their order. */
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
          <p className="muted">{describe(attempt, all[index - 1])}</p>
        </li>
      ))}
      {run.work.nextAt !== null && (
        <li className="muted">
          Attempt {(all.at(-1)?.attempt ?? 0) + 1} is due <Moment at={run.work.nextAt} />
        </li>
      )}
    </ol>
  )
}

function describe(attempt: Attempt, before: Attempt | undefined): string {
  const { startedAt, endedAt, errorCode } = attempt
  const took = endedAt === null ? null : `took ${span(startedAt, endedAt)}`
  return [errorCode, waitOf(attempt, before), took].filter((part) => part !== null).join(' · ')
}
