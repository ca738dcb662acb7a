import { Moment } from '../../parts/Moment.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatRecent } from '../../time/formatExact.ts'

interface HaltProps {
  state: 'Paused' | 'Parked'
  until: string
  by?: string | null
  reason: string | null
}

/** The year until which a pause lasts that somebody has to end. */
const FOR_EVER = '9999'

/** Says that nothing of a limit or a key starts, until when, and why. */
export function Halt({ state, until, by = null, reason }: HaltProps) {
  const { clock } = useServices()
  return (
    <span>
      <span className="badge isLate">{state}</span>
      {!until.startsWith(FOR_EVER) && (
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
