import type { ConsoleJobDetail } from '@roundsman/fastify/contract'
import { formatDuration } from '../time/formatDuration.ts'
import { nameDate } from '../time/nameDate.ts'

const WIDTH = 1_000
const PLOT = 100

/** How long runs took by day: half of them (p50), and all but one in twenty (p95). */
export function DurationChart({ name, days }: { name: string; days: ConsoleJobDetail['days'] }) {
  const shown = days.filter((day) => day.p50Ms !== null && day.p95Ms !== null).slice(-90)
  const max = shown.reduce((most, { p95Ms }) => Math.max(most, p95Ms ?? 0), 1)
  const first = shown[0]
  const last = shown.at(-1)
  if (!first || !last) {
    return <p className="muted chartPlace">There is nothing to draw until a run has ended.</p>
  }
  const x = (index: number) => (shown.length === 1 ? 0 : (index / (shown.length - 1)) * WIDTH)
  const y = (durationMs: number | null) => PLOT - ((durationMs ?? 0) / max) * PLOT
  // One day alone would be a point, which is nothing to see: it is drawn as wide as the chart.
  const drawn = shown.length === 1 ? [first, first] : shown
  const line = (read: (day: (typeof shown)[number]) => number | null) =>
    drawn.map((day, index) => `${(index / (drawn.length - 1)) * WIDTH},${y(read(day))}`).join(' ')
  return (
    <figure className="chart">
      <div className="chartScale">{formatDuration(max)}</div>
      <svg
        width="100%"
        height={PLOT}
        viewBox={`0 -2 ${WIDTH} ${PLOT + 4}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Durations of ${name} by day: on ${nameDate(last.date)} p50 ${formatDuration(last.p50Ms ?? 0)}, p95 ${formatDuration(last.p95Ms ?? 0)}`}
      >
        <line x1="0" x2={WIDTH} y1="0" y2="0" className="gridLine" />
        <line x1="0" x2={WIDTH} y1={PLOT / 2} y2={PLOT / 2} className="gridLine" />
        <line x1="0" x2={WIDTH} y1={PLOT} y2={PLOT} className="axisLine" />
        <polyline points={line((day) => day.p95Ms)} className="chartLine isDashed" />
        <polyline points={line((day) => day.p50Ms)} className="chartLine" />
        {shown.map((day, index) => (
          <rect
            key={day.date}
            x={x(index) - WIDTH / shown.length / 2}
            width={WIDTH / shown.length}
            y="0"
            height={PLOT}
            className="barTarget"
            data-tip={`${nameDate(day.date)}\np50 ${formatDuration(day.p50Ms ?? 0)}, p95 ${formatDuration(day.p95Ms ?? 0)}`}
          />
        ))}
      </svg>
      <div className="chartEnds">
        <span>{nameDate(first.date)}</span>
        <span>{nameDate(last.date)}</span>
      </div>
      <ul className="legend" aria-label="What the lines mean">
        <li>
          <svg width="20" height="8" aria-hidden="true">
            <line x1="0" x2="20" y1="4" y2="4" className="chartLine" />
          </svg>
          p50
        </li>
        <li>
          <svg width="20" height="8" aria-hidden="true">
            <line x1="0" x2="20" y1="4" y2="4" className="chartLine isDashed" />
          </svg>
          p95
        </li>
      </ul>
    </figure>
  )
}
