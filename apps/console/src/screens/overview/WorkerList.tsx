import type { ConsoleWorker } from '@roundsman/admin/contract'
import { clockAheadMs } from '../../api/run.ts'
import { Link } from '@tanstack/react-router'
import { Count, MAX_LISTED_WORKERS } from '../../parts/Count.tsx'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { WorkerMark } from '../worker/WorkerMark.tsx'
import { describeLane } from '../worker/workerIdentity.ts'

/** How many workers are listed, and how many jobs of each: the page has other things to show. */
const MAX_WORKERS = 6
const MAX_LANES = 5

export function WorkerList({ workers }: { workers: readonly ConsoleWorker[] }) {
  if (workers.length === 0) {
    return (
      <EmptyState title="No worker is running">
        <p>Runs begin once a worker process has started.</p>
      </EmptyState>
    )
  }
  const alive = workers.filter(({ isAlive }) => isAlive)
  const gone = workers.filter(({ isAlive }) => !isAlive)
  const isCut = workers.length >= MAX_LISTED_WORKERS
  // Workers with a problem come first, so that none of them is left out.
  const shown = alive
    .toSorted((one, other) => Number(other.isSilent) - Number(one.isSilent))
    .slice(0, MAX_WORKERS)
  return (
    <>
      <ul className="lines">
        {shown.map((worker) => (
          <WorkerItem key={worker.id} worker={worker} />
        ))}
        {alive.length > shown.length && (
          <li className="muted small">and {alive.length - shown.length} more that are alive</li>
        )}
      </ul>
      {gone.length > 0 && (
        <details className="gone" open={alive.length === 0}>
          <summary className="muted small">
            <Count value={gone.length} isCut={isCut} /> {gone.length === 1 ? 'worker' : 'workers'}{' '}
            disappeared in the last day
          </summary>
          <ul className="lines">
            {gone.slice(0, MAX_WORKERS).map(({ id, lastSignAt }) => (
              <li key={id} className="lineItem">
                <WorkerLink id={id} />
                <Moment at={lastSignAt} />
              </li>
            ))}
            {gone.length > MAX_WORKERS && (
              <li className="muted small">
                and <Count value={gone.length - MAX_WORKERS} isCut={isCut} /> more
              </li>
            )}
          </ul>
        </details>
      )}
    </>
  )
}

function WorkerLink({ id }: { id: string }) {
  return (
    <Link to="/runs" search={{ worker: id }} className="quietLink isCut">
      <code title={id}>{id}</code>
    </Link>
  )
}

function WorkerItem({ worker }: { worker: ConsoleWorker }) {
  const { id, startedAt, isSilent, lastSignAt, lanes } = worker
  const rest = lanes.length - MAX_LANES
  return (
    <li className="worker">
      <div className="lineItem">
        <WorkerMark state={isSilent ? 'silent' : 'alive'} lastSignAt={lastSignAt} />
        <WorkerLink id={id} />
        <span className="muted small workerAge">
          {clockAheadMs({ startedAt, createdAt: lastSignAt }) === null ? (
            <>
              up <Elapsed since={startedAt} />
            </>
          ) : (
            'its clock is ahead'
          )}
        </span>
      </div>
      {lanes.length === 0 ? (
        <p className="small muted">Idle</p>
      ) : (
        <ul className="workerRuns small">
          {lanes.slice(0, rest > 1 ? MAX_LANES : lanes.length).map((lane) => (
            <LaneLine key={lane.name} lane={lane} />
          ))}
          {rest > 1 && (
            <li className="muted">
              and <Link to="/runs" search={{ status: 'running' }}>{`${rest} more jobs`}</Link>
            </li>
          )}
        </ul>
      )}
    </li>
  )
}

/** What a worker runs of a job, or what the one run is about, and how long the oldest has been under way. */
function LaneLine({ lane }: { lane: ConsoleWorker['lanes'][number] }) {
  const { name, inUse, oldest } = lane
  const text = describeLane(lane)
  return (
    <li>
      <span className="lineItem">
        {inUse === 1 ? (
          <Link to="/runs/$id" params={{ id: oldest.id }} className="isCut">
            {text}
          </Link>
        ) : (
          <Link to="/runs" search={{ name, status: 'running' }} className="isCut">
            {text}
          </Link>
        )}
        <span className="muted">
          {inUse > 1 && 'up to '}
          <Elapsed since={oldest.startedAt} />
        </span>
      </span>
      {inUse === 1 && oldest.label !== null && (
        <span className="isCut isBlock muted">{oldest.label}</span>
      )}
      {inUse === 1 && oldest.progress !== null && (
        <ProgressBar progress={oldest.progress} label={`Progress of ${name}`} />
      )}
    </li>
  )
}
