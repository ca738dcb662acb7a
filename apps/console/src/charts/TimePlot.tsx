import type { ReactNode } from 'react'
import { AcrossLabels } from './AcrossLabels.tsx'
import { ticksInLines, type Scale } from './scales.ts'

const HEIGHT = 190
const TOP = 8
const BOTTOM = 22

export interface TimePlotProps {
  /** The chart in a sentence. */
  summary: string
  x: Scale
  y: Scale
  /** Drawn over the grid. Children place themselves by shares of the width, and vertically by `plotY`. */
  children: ReactNode
}

/**
 * The grid of a chart over time: round values on the left, round times below. Positions are shares of the width, so
 * that it fits anywhere without measuring.
 */
export function TimePlot({ summary, x, y, children }: TimePlotProps) {
  const up = ticksInLines(y.ticks, HEIGHT - TOP - BOTTOM)
  return (
    <div className="plot">
      <svg className="plotScale" width="100%" height={HEIGHT} aria-hidden="true">
        {up.map(({ at, label }) => (
          <text
            key={label}
            x="100%"
            y={plotY(at)}
            dx="-6"
            dy="4"
            textAnchor="end"
            className="chartText"
          >
            {label}
          </text>
        ))}
      </svg>
      <svg className="plotArea" width="100%" height={HEIGHT} role="group" aria-label={summary}>
        <g aria-hidden="true">
          {up.map(({ at, label }) => (
            <line
              key={label}
              x1="0"
              x2="100%"
              y1={plotY(at)}
              y2={plotY(at)}
              className={at === 0 ? 'axisLine' : 'gridLine'}
            />
          ))}
          <AcrossLabels labels={x.ticks} y={HEIGHT - 4} />
        </g>
        {children}
      </svg>
    </div>
  )
}

/** Turns a place on the vertical axis into a distance from the top. */
export function plotY(place: number): number {
  return TOP + (1 - place) * (HEIGHT - TOP - BOTTOM)
}
