import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../parts/Elapsed.tsx'
import { readWorkerId } from '../worker/workerIdentity.ts'

/** The runs that hold the slots of a limit. Nothing where there are none. */
export function HeldSlots({
  runs,
}: {
  runs: readonly {
    runId: string
    startedAt: string
    workerId: string
    name?: string
    key?: string | null
  }[]
}) {
  if (runs.length === 0) return null
  return (
    <span className="stacked muted small">
      {runs.map(({ runId, startedAt, workerId, name, key = null }) => (
        <span key={runId}>
          <Link to="/runs/$id" params={{ id: runId }}>
            {name === undefined ? 'Run' : `Run of ${name}`}
          </Link>
          {name !== undefined && key !== null && (
            <>
              {', '}
              <Link to="/jobs/$name/keys" params={{ name }} search={{ key }}>
                {key}
              </Link>
            </>
          )}{' '}
          for <Elapsed since={startedAt} /> in{' '}
          <Link to="/runs" search={{ worker: workerId }}>
            {readWorkerId(workerId)?.host ?? workerId}
          </Link>
        </span>
      ))}
    </span>
  )
}
