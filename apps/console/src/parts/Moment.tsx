import { useServices } from '../services/useServices.ts'
import { useClock } from '../services/useClock.ts'
import { formatRoughDuration } from '../time/formatDuration.ts'
import { exactLines } from '../time/formatExact.ts'

export interface MomentProps {
  at: string
  /** Text of the viewer's own making; default is how long ago. */
  children?: string
  /** Of what the instant belongs to, such as a schedule: its clock is shown as well. */
  timeZone?: string | undefined
  /** Where a link or a button around it takes the focus, it needs no stop of its own. */
  isInControl?: boolean
}

/** An instant in relative words; the exact one, on all clocks that count, on hover and focus. */
export function Moment({ at, children, timeZone, isInControl = false }: MomentProps) {
  const { clock } = useServices()
  const instant = new Date(at).getTime()
  const relative = useClock((now) => formatRelative(instant, now))
  const lines = exactLines(at, timeZone)
  if (children !== undefined) lines.push(formatRelative(instant, clock.now()))
  return (
    <time
      dateTime={at}
      className="moment"
      data-tip={lines.join('\n')}
      {...(!isInControl && { tabIndex: 0 })}
    >
      {children ?? relative}
    </time>
  )
}

/** Clocks of a browser and a server, and the way between them, differ by about this much. */
const NOW_MS = 2_000

/** How far an instant is from now, in words: `3 min ago`, `in 2 h`, `now`. Both in epoch milliseconds. */
export function formatRelative(at: number, now: number): string {
  const distance = at - now
  if (Math.abs(distance) < NOW_MS) return 'now'
  const amount = formatRoughDuration(Math.abs(distance))
  return distance < 0 ? `${amount} ago` : `in ${amount}`
}
