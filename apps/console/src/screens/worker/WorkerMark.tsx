import { Elapsed } from '../../parts/Elapsed.tsx'
import type { WorkerState } from './workerIdentity.ts'

const STATES = {
  alive: { path: 'M3.5 8.5l3 3 6-7', tone: 'is-success' },
  silent: { path: 'M8 3v6M8 12v1', tone: 'is-lost' },
  gone: { path: 'M4 4l8 8M12 4l-8 8', tone: 'is-failed' },
} as const

/** Whether a worker lives: a shape, a word and a colour. */
export function WorkerMark({ state, lastSignAt }: { state: WorkerState; lastSignAt: string }) {
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
          Silent for <Elapsed since={lastSignAt} />
        </span>
      )}
    </span>
  )
}
