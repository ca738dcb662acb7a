import type { ConsoleTick } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { useRoving } from '../parts/useRoving.ts'
import { exactLines } from '../time/formatExact.ts'
import { TICK_WORDS, tickKind } from './tickKind.ts'

/** How many marks fit. With fewer ticks, places on the left stay empty. */
const PLACES = 60

/** The last ticks of a job, the newest on the right. Each outcome has its own shape. */
export function TickStrip({
  name,
  ticks,
  timeZone,
}: {
  name: string
  ticks: readonly ConsoleTick[]
  /** The schedule's. */
  timeZone: string
}) {
  const shown = ticks.slice(-PLACES)
  const roving = useRoving(shown.length, shown.length - 1)
  if (shown.length === 0) {
    return <p className="stripEmpty muted small">No tick has been decided yet</p>
  }
  return (
    <div
      className="strip"
      role="group"
      aria-label={`Last ${shown.length} ticks of ${name}: ${summarize(shown)}`}
      {...roving.container}
    >
      {Array.from({ length: PLACES - shown.length }, (_, index) => (
        <span key={`empty ${index}`} className="stripPlace" aria-hidden="true" />
      ))}
      {shown.map((tick, index) => {
        const props = {
          ...roving.item(index),
          className: 'stripPlace',
          'data-tip': describe(tick, timeZone),
          'aria-label': describe(tick, timeZone).replaceAll('\n', ', '),
        }
        const mark = <i className={`mark is-${tickKind(tick)}`} />
        return tick.run === null ? (
          <span key={tick.scheduledFor} role="img" {...props}>
            {mark}
          </span>
        ) : (
          <Link
            key={tick.scheduledFor}
            to="/runs/$id"
            params={{ id: tick.run.id }}
            preload={false}
            {...props}
          >
            {mark}
          </Link>
        )
      })}
    </div>
  )
}

function describe(tick: ConsoleTick, timeZone: string): string {
  const count = tick.count > 1 ? `, ${tick.count.toLocaleString('en')} ticks from here on` : ''
  const reason = tick.reason === null ? '' : `: ${tick.reason}`
  return `${TICK_WORDS[tickKind(tick)]}${count}${reason}\n${exactLines(tick.scheduledFor, timeZone).join('\n')}`
}

function summarize(ticks: readonly ConsoleTick[]): string {
  const counts = new Map<string, number>()
  for (const tick of ticks) {
    const word = TICK_WORDS[tickKind(tick)].toLowerCase()
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ') || 'none'
}
