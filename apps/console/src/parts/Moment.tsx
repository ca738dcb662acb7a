import { useServices } from '../services/useServices.ts'
import { useClock } from '../services/useClock.ts'
import { formatRoughDuration } from '../time/formatDuration.ts'
import { exactLines, formatRecent } from '../time/formatExact.ts'

export interface MomentProps {
  at: string
  /** The text. Default: how long ago it is. */
  children?: string
  /** The zone of what it belongs to, such as a schedule: its clock is shown as well. */
  timeZone?: string | undefined
  /** Set when a link or a button around it takes the focus: it then needs no stop of its own. */
  isInControl?: boolean
  /** Set for what may still come. Of what has happened by a clock that is ahead no page says `in 36 min`. */
  isToCome?: boolean
}

/** An instant in relative words. Hover or focus shows the exact time, on every clock that differs. */
export function Moment(props: MomentProps) {
  const { at, children, timeZone, isInControl = false, isToCome = false } = props
  const { clock } = useServices()
  const instant = new Date(at).getTime()
  const relative = useClock((now) => formatRelative(instant, now, isToCome))
  const lines = exactLines(at, timeZone)
  if (children !== undefined) lines.push(formatRelative(instant, clock.now(), isToCome))
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

/** About as much as the clocks of browser and server differ, with the way between them. */
const NOW_MS = 2_000

/**
 * Says how far an instant is from now: `3 min ago`, `in 2 h`, `now`. Both in milliseconds since 1970. Of what is not to come
 * and has happened by a clock that is ahead it says the instant.
 */
export function formatRelative(at: number, now: number, isToCome: boolean): string {
  const distance = at - now
  if (Math.abs(distance) < NOW_MS) return 'now'
  if (distance > 0 && !isToCome) return formatRecent(new Date(at).toISOString(), now)
  const amount = formatRoughDuration(Math.abs(distance))
  return distance < 0 ? `${amount} ago` : `in ${amount}`
}
