import { Link } from '@tanstack/react-router'
import type { RunDetail } from '../../api/run.ts'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'

/** This one among the others of the same work, in their order. */
export function Attempts({ run }: { run: RunDetail }) {
  const all = [...run.attempts, run].toSorted(
    (a, b) => a.attempt - b.attempt || Date.parse(a.startedAt) - Date.parse(b.startedAt),
  )
  return (
    <ol className="lines">
      {all.map(({ id, attempt, status, startedAt }) => (
        <li key={id} className="lineItem" {...(id === run.id && { 'aria-current': true })}>
          <span>
            {id === run.id ? (
              <strong>Attempt {attempt}, this one</strong>
            ) : (
              <Link to="/runs/$id" params={{ id }}>
                Attempt {attempt}
              </Link>
            )}
          </span>
          <span className="lineEnd">
            <StatusMark status={status} />
            <Moment at={startedAt} />
          </span>
        </li>
      ))}
    </ol>
  )
}
