import { Moment } from '../../parts/Moment.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatRecent } from '../../time/formatExact.ts'

interface HaltProps {
  state: 'Paused' | 'Refused'
  /** Null: until somebody ends it. */
  until: string | null
  by?: string | null
  reason: string | null
}

/** Shows until when no work of a limit or a key starts, and why: a person paused it, or a service refused more. */
export function Halt({ state, until, by = null, reason }: HaltProps) {
  const { clock } = useServices()
  return (
    <span>
      <span className="badge isLate">{state === 'Refused' ? 'Waiting (429)' : state}</span>
      {until !== null && (
        <>
          {' '}
          until{' '}
          <Moment at={until} isToCome>
            {formatRecent(until, clock.now())}
          </Moment>
        </>
      )}
      {by !== null && ` by ${by}`}
      {reason !== null && ` · ${reason}`}
    </span>
  )
}
