import type { ConsoleWorker } from '@roundsman/api/console'
import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'

export function WorkerList({ workers }: { workers: readonly ConsoleWorker[] }) {
  if (workers.length === 0) {
    return (
      <EmptyState title="No worker has been seen">
        <p>
          Start one with <code>pnpm start:worker</code>.
        </p>
      </EmptyState>
    )
  }
  return (
    <ul className="lines">
      {workers.map((worker) => (
        <li key={worker.id} className="worker">
          <div className="lineItem">
            <span className={`statusMark ${worker.isAlive ? 'is-success' : 'is-failed'}`}>
              <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
                <path d={worker.isAlive ? 'M3.5 8.5l3 3 6-7' : 'M4 4l8 8M12 4l-8 8'} />
              </svg>
              {worker.isAlive ? 'Alive' : 'Gone'}
            </span>
            <code className="isCut" title={worker.id}>
              {worker.id}
            </code>
          </div>
          <p className="muted small">
            Seen <Moment at={worker.lastSignAt} />, started <Moment at={worker.startedAt} />
            {worker.liveness === 'heartbeat' && ', by heartbeat: it holds no session lock'}
          </p>
          {worker.running.length === 0 ? (
            <p className="small">{worker.isAlive ? 'Idle' : 'Its work was given to others'}</p>
          ) : (
            <ul className="workerRuns">
              {worker.running.map((run) => (
                <li key={run.id}>
                  <span className="lineItem">
                    <Link to="/runs/$id" params={{ id: run.id }} className="isCut">
                      {run.name}
                    </Link>
                    <span className="muted">
                      <Elapsed since={run.startedAt} />
                    </span>
                  </span>
                  {run.progress !== null && (
                    <ProgressBar progress={run.progress} label={`Progress of ${run.name}`} />
                  )}
                </li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  )
}
