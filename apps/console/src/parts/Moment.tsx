import { useServices } from '../services/useServices.ts'
import { useClock } from '../services/useClock.ts'
import { formatExact } from '../time/formatExact.ts'
import { formatRelative } from '../time/formatRelative.ts'

export interface MomentProps {
  at: string
  /** Text of the viewer's own making; default is how long ago. */
  children?: string
  /** Where a link or a button around it takes the focus, it needs no stop of its own. */
  isInControl?: boolean
}

/** An instant in relative words; the exact one, local and in UTC, on hover and focus. */
export function Moment({ at, children, isInControl = false }: MomentProps) {
  const { clock } = useServices()
  const instant = new Date(at).getTime()
  const relative = useClock((now) => formatRelative(instant, now))
  const { local, utc } = formatExact(at)
  return (
    <time
      dateTime={at}
      className="moment"
      data-tip={
        children === undefined
          ? `${local}\n${utc}`
          : `${local}\n${utc}\n${formatRelative(instant, clock.now())}`
      }
      {...(!isInControl && { tabIndex: 0 })}
    >
      {children ?? relative}
    </time>
  )
}
