import type { ConsoleVersion } from '@roundsman/admin/contract'
import { useId } from 'react'
import { Moment } from '../parts/Moment.tsx'
import { formatShort } from '../time/formatExact.ts'
import {
  anchorAt,
  formatCount,
  niceMax,
  partHeights,
  percent,
  roomForLabels,
  type AcrossLabel,
} from './scales.ts'

export type BarKind = 'success' | 'failed' | 'stopped' | 'running' | 'plain'

export interface Bar {
  key: string
  /** Stands below the bar if there is room. */
  label: string | null
  /** The bar's name in the table that replaces the chart for people who do not see it. */
  name: string
  /** The text of its tooltip. */
  tip: string
  parts: { kind: BarKind; value: number }[]
}

export interface BarChartProps {
  /** The chart in a sentence. */
  summary: string
  bars: readonly Bar[]
  kinds: readonly { kind: BarKind; label: string }[]
  /** Names of the first and the last bar, when bars have no labels. */
  ends?: readonly [string, string]
  /** Where the version changed, as shares of the width. */
  versions?: readonly (ConsoleVersion & { place: number })[]
}

const HEIGHT = 132
const TOP = 8
/** Room below the bars, with labels and without. */
const LABELS = 20
const NO_LABELS = 6
const GAP_SHARE = 0.22

/**
 * Stacked bars. Positions are shares of the width, so that it fits anywhere without measuring. Failures are hatched, to
 * be told without colour.
 */
export function BarChart({ summary, bars, kinds, ends, versions = [] }: BarChartProps) {
  const hatch = useId()
  const totals = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const max = niceMax(totals)
  const plot = HEIGHT - TOP - (ends === undefined ? LABELS : NO_LABELS)
  const base = TOP + plot
  const step = 100 / Math.max(bars.length, 1)
  const across = (index: number) => (index + 0.5) / bars.length
  const labels = bars.flatMap(({ label }, index) =>
    label === null ? [] : [{ at: across(index), label }],
  )
  const marks = max >= 2 ? [0, 0.5, 1] : [0, 1]
  return (
    <figure className="chart">
      <div className="plot">
        <svg className="plotScale" width="100%" height={HEIGHT} aria-hidden="true">
          {marks.map((share) => (
            <text
              key={share}
              x="100%"
              y={base - share * plot}
              dx="-6"
              dy="4"
              textAnchor="end"
              className="chartText"
            >
              {formatCount(max * share, max)}
            </text>
          ))}
        </svg>
        <svg className="plotArea" width="100%" height={HEIGHT} role="img" aria-label={summary}>
          <HatchPattern id={hatch} />
          {marks.map((share) => (
            <line
              key={share}
              x1="0"
              x2="100%"
              y1={base - share * plot}
              y2={base - share * plot}
              className={share === 0 ? 'axisLine' : 'gridLine'}
            />
          ))}
          {versions.map(({ at, version, place }) => (
            <line
              key={at}
              x1={percent(place)}
              x2={percent(place)}
              y1={TOP}
              y2={base}
              className="versionLine"
            >
              <title>{`Version ${version}`}</title>
            </line>
          ))}
          <AcrossLabels labels={labels} y={HEIGHT - 5} />
          {bars.map(({ key, tip, parts }, index) => {
            const heights = partHeights(
              parts.map(({ value }) => value),
              ((totals[index] ?? 0) / max) * plot,
            )
            let top = base
            return (
              <g key={key}>
                {parts.map(({ kind, value }, nth) => {
                  if (value <= 0) return null
                  const own = heights[nth]
                  top -= own ?? 0
                  return (
                    <rect
                      key={kind}
                      x={`${(index + GAP_SHARE / 2) * step}%`}
                      width={`${step * (1 - GAP_SHARE)}%`}
                      y={top}
                      height={own}
                      className={`bar is-${kind}`}
                      {...(kind === 'failed' && { fill: `url(#${hatch})` })}
                    />
                  )
                })}
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
      </div>
      {ends !== undefined && (
        <div className="chartEnds isBesideScale" aria-hidden="true">
          <span>{ends[0]}</span>
          <span>{ends[1]}</span>
        </div>
      )}
      {(kinds.length > 1 || versions.length > 0) && (
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
          {versions.map(({ at, version }) => (
            <li key={at}>
              <svg width="8" height="12" aria-hidden="true">
                <line x1="4" x2="4" y1="0" y2="12" className="versionLine" />
              </svg>
              version {version} <Moment at={at}>{formatShort(at)}</Moment>
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
                    {(parts.find((part) => part.kind === kind)?.value ?? 0).toLocaleString('en')}
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

/** The pattern that fills failures. */
function HatchPattern({ id }: { id: string }) {
  return (
    <defs>
      <pattern
        id={id}
        width="5"
        height="5"
        patternUnits="userSpaceOnUse"
        patternTransform="rotate(45)"
      >
        <rect width="5" height="5" className="hatchGround" />
        <rect width="2" height="5" className="hatchLine" />
      </pattern>
    </defs>
  )
}

/** Labels beside each other, as far as there is room for them. */
function AcrossLabels({ labels, y }: { labels: readonly AcrossLabel[]; y: number }) {
  const rooms = roomForLabels(labels)
  return labels.map(({ at, label }, index) => {
    const room = rooms[index]
    if (room === 'never') return null
    return (
      <text
        key={at}
        x={percent(at)}
        y={y}
        textAnchor={anchorAt(at)}
        className={room === 'isSpare' ? 'chartText isSpare' : 'chartText'}
      >
        {label}
      </text>
    )
  })
}
