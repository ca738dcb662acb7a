import type { ConsoleBacklog } from '@roundsman/fastify/contract'
import { Link } from '@tanstack/react-router'
import { formatDuration, formatRoughDuration } from '../../time/formatDuration.ts'

/** What waits, and how long that will take at the present rate. */
export function Backlog({ backlog }: { backlog: readonly ConsoleBacklog[] }) {
  return (
    <ul className="lines">
      {backlog.map((row) => (
        <li key={row.name} className="lineItem">
          <span className="isCut">
            <Link to="/jobs/$name" params={{ name: row.name }} className="strongLink">
              {row.name}
            </Link>{' '}
            <span className="muted">
              {readyCount(row)} waiting, the oldest for{' '}
              {formatDuration(roundToSeconds(row.oldestMs))}
            </span>
          </span>
          <span
            className={row.caughtUpInMs === null && !row.isPaused ? 'lineEnd isBad' : 'lineEnd'}
            data-tip={describeRates(row)}
            tabIndex={0}
          >
            {describeCatchUp(row)}
          </span>
        </li>
      ))}
    </ul>
  )
}

export function readyCount({ ready, isCut }: Pick<ConsoleBacklog, 'ready' | 'isCut'>): string {
  return `${isCut ? 'over ' : ''}${ready.toLocaleString('en')}`
}

/** `caught up in 4 min`, or `growing: never`; nothing of both where somebody has paused it. */
export function describeCatchUp({
  caughtUpInMs,
  takenPerSecond,
  comingPerSecond,
  isPaused,
  isUntaken,
  isCut,
}: ConsoleBacklog): string {
  if (isPaused) return 'paused'
  if (isUntaken) return 'no worker takes it'
  if (caughtUpInMs !== null)
    return `caught up in ${isCut ? 'over ' : ''}${formatRoughDuration(Math.max(1_000, caughtUpInMs))}`
  if (takenPerSecond > 0 || comingPerSecond > 0) return 'growing: never'
  return 'standing still: never'
}

export function describeRates({ takenPerSecond, comingPerSecond }: ConsoleBacklog): string {
  return `${formatRate(takenPerSecond)} taken, ${formatRate(comingPerSecond)} coming`
}

/** In the unit in which there is at least one. */
function formatRate(perSecond: number): string {
  if (perSecond === 0) return 'none'
  if (perSecond >= 1) return `${round(perSecond)} a second`
  if (perSecond * 60 >= 1) return `${round(perSecond * 60)} a minute`
  return `${round(perSecond * 3_600)} an hour`
}

function round(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 2 })
}

function roundToSeconds(ms: number): number {
  return Math.max(1_000, Math.round(ms / 1_000) * 1_000)
}
