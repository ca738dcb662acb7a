import { useId } from 'react'

export type BarKind = 'success' | 'failed' | 'running' | 'plain'

export interface Bar {
  key: string
  /** Below the bar, where there is room for it. */
  label: string | null
  /** In the table that stands for the chart where nobody sees it. */
  name: string
  /** On hover. */
  tip: string
  parts: { kind: BarKind; value: number }[]
}

export interface BarChartProps {
  /** The chart in a sentence. */
  summary: string
  bars: readonly Bar[]
  kinds: readonly { kind: BarKind; label: string }[]
  /** What the first and the last bar are, where the bars have no labels. */
  ends?: readonly [string, string]
  formatValue?: (value: number) => string
}

const HEIGHT = 132
const TOP = 18
const LABELS = 20
/** A single failure among thousands has to be seen. */
const MIN_PART = 3
const GAP_SHARE = 0.22

/**
 * Stacked bars. Horizontal positions are shares of the width, so that it fits any place without measuring, and
 * failures are hatched, so that they can be told without colour.
 */
export function BarChart({ summary, bars, kinds, ends, formatValue = formatCount }: BarChartProps) {
  const hatch = useId()
  const max = niceMax(bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0)))
  const plot = HEIGHT - TOP - (ends === undefined ? LABELS : 1)
  const base = TOP + plot
  const step = 100 / Math.max(bars.length, 1)
  return (
    <figure className="chart">
      <svg width="100%" height={HEIGHT} role="img" aria-label={summary}>
        <defs>
          <pattern
            id={hatch}
            width="5"
            height="5"
            patternUnits="userSpaceOnUse"
            patternTransform="rotate(45)"
          >
            <rect width="5" height="5" className="hatchGround" />
            <rect width="2" height="5" className="hatchLine" />
          </pattern>
        </defs>
        <line x1="0" x2="100%" y1={TOP} y2={TOP} className="gridLine" />
        <line x1="0" x2="100%" y1={TOP + plot / 2} y2={TOP + plot / 2} className="gridLine" />
        <line x1="0" x2="100%" y1={base} y2={base} className="axisLine" />
        <text x="0" y={TOP - 5} className="chartText">
          {formatValue(max)}
        </text>
        {bars.map(({ key, label, tip, parts }, index) => {
          let top = base
          return (
            <g key={key}>
              {parts.map(({ kind, value }) => {
                if (value <= 0) return null
                const height = Math.max((value / max) * plot, MIN_PART)
                top -= height
                return (
                  <rect
                    key={kind}
                    x={`${(index + GAP_SHARE / 2) * step}%`}
                    width={`${step * (1 - GAP_SHARE)}%`}
                    y={top}
                    height={height}
                    className={`bar is-${kind}`}
                    {...(kind === 'failed' && { fill: `url(#${hatch})` })}
                  />
                )
              })}
              {label !== null && (
                <text
                  x={`${(index + 0.5) * step}%`}
                  y={HEIGHT - 5}
                  textAnchor="middle"
                  className="chartText"
                >
                  {label}
                </text>
              )}
              <rect
                x={`${index * step}%`}
                width={`${step}%`}
                y={TOP}
                height={plot}
                className="barTarget"
                data-tip={tip}
              />
            </g>
          )
        })}
      </svg>
      {ends !== undefined && (
        <div className="chartEnds" aria-hidden="true">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
        </div>
      )}
      {kinds.length > 1 && (
        <ul className="legend" aria-label="What the bars mean">
          {kinds.map(({ kind, label }) => (
            <li key={kind}>
              <svg width="12" height="12" aria-hidden="true">
                <rect
                  x="0.5"
                  y="0.5"
                  width="11"
                  height="11"
                  className={`bar is-${kind}`}
                  {...(kind === 'failed' && { fill: `url(#${hatch})` })}
                />
              </svg>
              {label}
            </li>
          ))}
        </ul>
      )}
      <div className="srOnly">
        <table>
          <caption>{summary}</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              {kinds.map(({ kind, label }) => (
                <th key={kind} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {bars.map(({ key, name, parts }) => (
              <tr key={key}>
                <th scope="row">{name}</th>
                {kinds.map(({ kind }) => (
                  <td key={kind}>
                    {formatValue(parts.find((part) => part.kind === kind)?.value ?? 0)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  )
}

function formatCount(value: number): string {
  return value.toLocaleString('en')
}

/** The end of an axis that begins at 0: the least of 1, 2, 4, 5 or 8 times a power of ten that holds all values. */
export function niceMax(values: readonly number[]): number {
  const max = values.reduce((most, value) => Math.max(most, value), 0)
  if (max <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(max))
  return ([1, 2, 4, 5, 8].find((step) => step * power >= max) ?? 10) * power
}
