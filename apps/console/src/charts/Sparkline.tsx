import { formatDuration } from '../time/formatDuration.ts'

export interface SparklineProps {
  /** The oldest first. */
  points: readonly { durationMs: number; isFailed: boolean }[]
  name: string
}

const WIDTH = 132
const HEIGHT = 30
const PAD = 4

/** The trend of how long runs take. Failed ones are crosses. */
export function Sparkline({ points, name }: SparklineProps) {
  if (points.length === 0) {
    return <span className="sparkline muted small">No durations yet</span>
  }
  const sorted = points.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b)
  const longest = sorted.at(-1) ?? 0
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  const x = (index: number) =>
    points.length === 1 ? WIDTH / 2 : PAD + (index / (points.length - 1)) * (WIDTH - 2 * PAD)
  const y = (durationMs: number) =>
    HEIGHT - PAD - (durationMs / Math.max(longest, 1)) * (HEIGHT - 2 * PAD)
  const line = points.map(({ durationMs }, index) => `${x(index)},${y(durationMs)}`).join(' ')
  const last = points.at(-1)
  return (
    <span className="sparkline">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        width={WIDTH}
        height={HEIGHT}
        role="img"
        aria-label={`Durations of the last ${points.length} runs of ${name}: median ${formatDuration(median)}, longest ${formatDuration(longest)}`}
      >
        <polyline points={line} className="sparkLine" />
        {points.map(({ durationMs, isFailed }, index) =>
          isFailed ? (
            <path
              key={`${x(index)}`}
              d={`M${x(index) - 2.5} ${y(durationMs) - 2.5}l5 5m0-5l-5 5`}
              className="sparkCross"
            />
          ) : null,
        )}
        {last && !last.isFailed && (
          <circle cx={x(points.length - 1)} cy={y(last.durationMs)} r="2.5" className="sparkEnd" />
        )}
      </svg>
      <span className="muted small">
        median {formatDuration(median)}, longest {formatDuration(longest)}
      </span>
    </span>
  )
}
