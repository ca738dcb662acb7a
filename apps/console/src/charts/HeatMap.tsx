import type { ConsoleJobDetail } from '@roundsman/admin/contract'
import { useEffect, useRef } from 'react'
import { useRoving } from '../parts/useRoving.ts'
import { nameDate } from '../time/nameDate.ts'
import { describeEnded, type EndedCounts } from './runBars.ts'

const STEP = 13
const CELL = 11
const LEFT = 26
const TOP = 16

/** A year of days, each as dark as it had runs. A day with a failure carries a cross. */
export function HeatMap({
  name,
  days,
  now,
}: {
  name: string
  days: ConsoleJobDetail['days']
  now: number
}) {
  const weeks = heatMapWeeks(days, now)
  const all = weeks.flat()
  const roving = useRoving(all.length, all.length - 1, 7)
  const box = useRef<HTMLDivElement>(null)
  const failed = days.filter((day) => day.failed > 0).length

  useEffect(() => {
    // If the year does not fit, show the latest days.
    if (box.current) box.current.scrollLeft = box.current.scrollWidth
  }, [])

  return (
    <div ref={box} className="scrollBox heatMap" {...roving.container}>
      <svg
        width={LEFT + weeks.length * STEP}
        height={TOP + 7 * STEP}
        role="group"
        aria-label={`Runs of ${name} by day over a year: ${days.length} days with runs, ${failed} of them with failures`}
      >
        {['Mon', '', 'Wed', '', 'Fri', '', ''].map((label, index) => (
          <text
            key={index}
            x="0"
            y={TOP + index * STEP + 9}
            className="chartText"
            aria-hidden="true"
          >
            {label}
          </text>
        ))}
        {weeks.map((week, column) => (
          <g key={week[0]?.date}>
            {monthOf(week) !== '' && (
              <text x={LEFT + column * STEP} y="10" className="chartText" aria-hidden="true">
                {monthOf(week)}
              </text>
            )}
            {week.map((day, row) => (
              <g
                key={day.date}
                role="img"
                aria-label={describe(day)}
                data-tip={describe(day)}
                className="heatDay"
                {...roving.item(column * 7 + row)}
              >
                <rect
                  x={LEFT + column * STEP}
                  y={TOP + row * STEP}
                  width={CELL}
                  height={CELL}
                  rx="2"
                  className={`heat level-${day.level}${day.failed > 0 ? ' hasFailed' : ''}`}
                />
                {day.failed > 0 && (
                  <path
                    d={`M${LEFT + column * STEP + 2.5} ${TOP + row * STEP + 2.5}l6 6m0-6l-6 6`}
                    className="heatCross"
                  />
                )}
              </g>
            ))}
          </g>
        ))}
      </svg>
    </div>
  )
}

/** The name of the month that begins in this week, for its label; empty if none does. */
function monthOf(week: readonly HeatMapDay[]): string {
  const first = week.find(({ date }) => date.endsWith('-01'))
  if (!first) return ''
  return new Intl.DateTimeFormat('en-GB', { month: 'short', timeZone: 'UTC' }).format(
    new Date(first.date),
  )
}

function describe({ date, ...ended }: HeatMapDay): string {
  const runs = ended.success + ended.failed + ended.stopped
  return `${nameDate(date)}: ${runs === 0 ? 'no runs' : describeEnded(ended)}`
}

type HeatMapDay = EndedCounts & { date: string; level: 0 | 1 | 2 | 3 | 4 }

const DAY_MS = 86_400_000
const WEEKS = 53

/**
 * The last 53 weeks by UTC date, from Monday on; the last one ends today. A day's shade goes by its order of magnitude
 * against the busiest day, so that it serves jobs that run once a day and once a second.
 */
export function heatMapWeeks(days: ConsoleJobDetail['days'], now: number): HeatMapDay[][] {
  const byDate = new Map(days.map((day) => [day.date, day]))
  const most = days.reduce((max, { success, failed }) => Math.max(max, success + failed), 0)
  const today = Math.floor(now / DAY_MS) * DAY_MS
  // The epoch was a Thursday, three days after Monday.
  const weekday = (Math.floor(today / DAY_MS) + 3) % 7
  const first = today - weekday * DAY_MS - (WEEKS - 1) * 7 * DAY_MS
  return Array.from({ length: WEEKS }, (_, week) =>
    Array.from({ length: week === WEEKS - 1 ? weekday + 1 : 7 }, (_day, index) => {
      const date = new Date(first + (week * 7 + index) * DAY_MS).toISOString().slice(0, 10)
      const { success = 0, failed = 0, stopped = 0 } = byDate.get(date) ?? {}
      return { date, success, failed, stopped, level: levelOf(success + failed, most) }
    }),
  )
}

function levelOf(runs: number, most: number): HeatMapDay['level'] {
  if (runs === 0) return 0
  const share = runs / most
  if (share > 0.75) return 4
  if (share > 0.5) return 3
  return share > 0.25 ? 2 : 1
}
