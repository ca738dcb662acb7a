import { Link } from '@tanstack/react-router'
import { Moment } from '../../parts/Moment.tsx'

/** The runs that hold the slots of a limit. Nothing where there are none. */
export function HeldSlots({
  runs,
}: {
  runs: readonly { runId: string; startedAt: string; name?: string; key?: string | null }[]
}) {
  if (runs.length === 0) return null
  return (
    <span className="stacked muted small">
      {runs.map(({ runId, startedAt, name, key = null }) => (
        <span key={runId}>
          <Link to="/runs/$id" params={{ id: runId }}>
            {name === undefined ? 'Run' : `Run of ${name}`}
          </Link>
          {key !== null && `, ${key}`} since <Moment at={startedAt} />
        </span>
      ))}
    </span>
  )
}
