import type { ConsoleBacklog } from '@roundsman/admin/contract'
import { JobLink } from '../../parts/JobLink.tsx'
import { formatDuration, formatRoughDuration } from '../../time/formatDuration.ts'

/** What waits, and how long it will take at the present rate. */
export function Backlog({ backlog }: { backlog: readonly ConsoleBacklog[] }) {
  return (
    <ul className="lines">
      {backlog.map((row) => (
        <li key={row.name} className="lineItem isFolding">
          <span className="isWrapped">
            <JobLink name={row.name} />{' '}
            <span className="muted">
              {readyCount(row)} waiting, the oldest for{' '}
              {formatDuration(roundToSeconds(row.oldestMs))}
            </span>
          </span>
          <span
            className={
              row.caughtUpInMs === null && !row.isPaused && !row.isEven
                ? 'lineEnd isBad'
                : 'lineEnd'
            }
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

/** How much work is ready, with `over` when the server counts no further. */
export function readyCount({ ready, isCut }: Pick<ConsoleBacklog, 'ready' | 'isCut'>): string {
  return `${isCut ? 'over ' : ''}${ready.toLocaleString('en')}`
}

/** Says `caught up in 4 min`, or why it will not be: `paused`, `no worker takes it`, `growing: more comes than is taken`, `all 4 slots are held`, `about as much comes as is taken`. */
export function describeCatchUp({
  caughtUpInMs,
  takenPerSecond,
  comingPerSecond,
  isEven,
  isPaused,
  isUntaken,
  isCut,
  held,
}: ConsoleBacklog): string {
  if (isPaused) return 'paused'
  if (isUntaken) return 'no worker takes it'
  if (held !== null)
    return held.slots === 1
      ? 'the only slot is held'
      : `all ${held.slots.toLocaleString('en')} slots are held`
  if (isEven) return 'about as much comes as is taken'
  if (caughtUpInMs !== null)
    return `caught up in ${isCut ? 'over ' : ''}${formatRoughDuration(Math.max(1_000, caughtUpInMs))}`
  if (takenPerSecond > 0 || comingPerSecond > 0) return 'growing: more comes than is taken'
  return 'standing still: none is taken'
}

/** Says `12 a minute taken, 30 a minute coming`, both in one unit. */
export function describeRates({
  takenPerSecond,
  comingPerSecond,
}: Pick<ConsoleBacklog, 'takenPerSecond' | 'comingPerSecond'>): string {
  const unit = unitOf(Math.min(...[takenPerSecond, comingPerSecond].filter((rate) => rate > 0)))
  const rate = (perSecond: number) =>
    perSecond === 0 ? 'none' : `${round(perSecond * unit.seconds)} ${unit.words}`
  return `${rate(takenPerSecond)} taken, ${rate(comingPerSecond)} coming`
}

/** The unit in which the slower rate is at least one: people can't compare rates in two units at a glance. */
function unitOf(perSecond: number): { seconds: number; words: string } {
  if (perSecond >= 1) return { seconds: 1, words: 'a second' }
  if (perSecond * 60 >= 1) return { seconds: 60, words: 'a minute' }
  return { seconds: 3_600, words: 'an hour' }
}

function round(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 2 })
}

function roundToSeconds(ms: number): number {
  return Math.max(1_000, Math.round(ms / 1_000) * 1_000)
}
