import type { ConsoleWorker } from '@roundsman/fastify/contract'
import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'

export interface WorkerListProps {
  workers: readonly ConsoleWorker[]
  /** When the server looked: a sign of life that was old then means silence, and not an old page. */
  seenAt: string
}

export function WorkerList({ workers, seenAt }: WorkerListProps) {
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
            <WorkerMark state={workerState(worker, seenAt)} since={worker.lastSignAt} />
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
              {workerLines(worker.running).map((line) =>
                line.kind === 'run' ? (
                  <RunLine key={line.run.id} run={line.run} />
                ) : (
                  <GroupLine key={line.name} line={line} />
                ),
              )}
            </ul>
          )}
        </li>
      ))}
    </ul>
  )
}

function RunLine({ run }: { run: ConsoleWorker['running'][number] }) {
  return (
    <li>
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
  )
}

function GroupLine({ line }: { line: WorkerLine & { kind: 'group' } }) {
  return (
    <li className="lineItem">
      <Link to="/runs" search={{ name: line.name, status: 'running' }} className="isCut">
        {line.name} × {line.count}
      </Link>
      <span className="muted">
        up to <Elapsed since={line.oldestStartedAt} />
      </span>
    </li>
  )
}

/** Each living worker gives a sign every five seconds. */
const SILENT_AFTER_MS = 15_000

const STATES = {
  alive: { path: 'M3.5 8.5l3 3 6-7', tone: 'is-success' },
  silent: { path: 'M8 3v6M8 12v1', tone: 'is-lost' },
  gone: { path: 'M4 4l8 8M12 4l-8 8', tone: 'is-failed' },
} as const

function workerState(worker: ConsoleWorker, seenAt: string): keyof typeof STATES {
  if (!worker.isAlive) return 'gone'
  const silentMs = Date.parse(seenAt) - Date.parse(worker.lastSignAt)
  return silentMs > SILENT_AFTER_MS ? 'silent' : 'alive'
}

function WorkerMark({ state, since }: { state: keyof typeof STATES; since: string }) {
  const { path, tone } = STATES[state]
  return (
    <span className={`statusMark ${tone}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={path} />
      </svg>
      {state === 'alive' && 'Alive'}
      {state === 'gone' && 'Gone'}
      {state === 'silent' && (
        <span>
          Silent for <Elapsed since={since} />
        </span>
      )}
    </span>
  )
}

type RunningRun = ConsoleWorker['running'][number]

/** A run that is under way, or several of one job that have nothing of their own to tell. */
export type WorkerLine =
  | { kind: 'run'; run: RunningRun }
  | { kind: 'group'; name: string; count: number; oldestStartedAt: string }

/** Of so many runs of one job, each has a line. */
const MAX_LINES_A_JOB = 2

/** What a worker carries out, a few lines for each job; a run that tells its progress keeps its own. */
export function workerLines(running: readonly RunningRun[]): WorkerLine[] {
  return [...Map.groupBy(running, ({ name }) => name)].flatMap(([name, runs]): WorkerLine[] => {
    if (runs.length <= MAX_LINES_A_JOB) return runs.map((run) => ({ kind: 'run', run }))
    const silent = runs.filter(({ progress }) => progress === null)
    const telling = runs.filter(({ progress }) => progress !== null)
    const lines = telling.map((run): WorkerLine => ({ kind: 'run', run }))
    const [oldest] = silent.map(({ startedAt }) => startedAt).toSorted()
    if (oldest === undefined) return lines
    return [{ kind: 'group', name, count: silent.length, oldestStartedAt: oldest }, ...lines]
  })
}
