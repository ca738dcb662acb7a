import type { ConsoleOverview } from '@roundsman/api/console'
import { Link } from '@tanstack/react-router'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { formatClock } from '../../time/formatExact.ts'

export function NextTicks({ ticks }: { ticks: ConsoleOverview['nextTicks'] }) {
  if (ticks.length === 0) {
    return (
      <EmptyState title="Nothing is due">
        <p>
          Every schedule is paused, or there is none. <Link to="/jobs">Look at the jobs</Link>
        </p>
      </EmptyState>
    )
  }
  return (
    <ol className="lines">
      {ticks.slice(0, 10).map(({ name, at }) => (
        <li key={`${name} ${at}`} className="lineItem">
          <Link to="/jobs/$name" params={{ name }} className="isCut">
            {name}
          </Link>
          <span className="lineEnd">
            <span className="muted">{formatClock(at)}</span>
            <Moment at={at} />
          </span>
        </li>
      ))}
    </ol>
  )
}
