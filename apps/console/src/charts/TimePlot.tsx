import type { ReactNode } from 'react'
import { AcrossLabels } from './AcrossLabels.tsx'
import { ticksInLines, type Scale } from './scales.ts'

const PLOT_HEIGHT = 150
const TOP = 8
const BOTTOM = 22

export interface TimePlotProps {
  /** The chart in a sentence. */
  summary: string
  x: Scale
  y: Scale
  height?: number
  /** Whether it contains links. Without them it is one picture to a screen reader. */
  isGroup?: boolean
  /** Drawn over the grid. Children place themselves by shares of the width, and vertically by `plotY`. */
  children: ReactNode
}

/**
 * The grid of a chart over time: round values on the left, round times below. Positions are shares of the width, so
 * that it fits anywhere without measuring.
 */
export function TimePlot(props: TimePlotProps) {
  const { summary, x, y, height = PLOT_HEIGHT, isGroup = false, children } = props
  const up = ticksInLines(y.ticks, height - TOP - BOTTOM)
  return (
    <div className="plot">
      <svg className="plotScale" width="100%" height={height} aria-hidden="true">
        {up.map(({ at, label }) => (
          <text
            key={label}
            x="100%"
            y={plotY(at, height)}
            dx="-6"
            dy="4"
            textAnchor="end"
            className="chartText"
          >
            {label}
          </text>
        ))}
      </svg>
      <svg
        className="plotArea"
        width="100%"
        height={height}
        role={isGroup ? 'group' : 'img'}
        aria-label={summary}
      >
        <g aria-hidden="true">
          {up.map(({ at, label }) => (
            <line
              key={label}
              x1="0"
              x2="100%"
              y1={plotY(at, height)}
              y2={plotY(at, height)}
              className={at === 0 ? 'axisLine' : 'gridLine'}
            />
          ))}
          <AcrossLabels labels={x.ticks} y={height - 4} />
        </g>
        {children}
      </svg>
    </div>
  )
}

/** Turns a place on the vertical axis into a distance from the top. */
export function plotY(place: number, height: number = PLOT_HEIGHT): number {
  return TOP + (1 - place) * (height - TOP - BOTTOM)
}

/** The width in which lines are drawn before they are stretched to that of the chart. */
const WIDE = 1_000

/**
 * Draws straight lines between points, given by their places on both axes. Null is a gap, which interrupts the line.
 */
export function PlotLine(props: {
  points: readonly ({ x: number; y: number } | null)[]
  className: string
  height?: number
  /** Whether the area below the line is filled. */
  isArea?: boolean
}) {
  const { points, className, height = PLOT_HEIGHT, isArea = false } = props
  const floor = plotY(0, height)
  return (
    <svg
      viewBox={`0 0 ${WIDE} ${height}`}
      width="100%"
      height={height}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {splitAtGaps(points).map((part) => {
        const places = part.map(({ x, y }) => `${x * WIDE},${plotY(y, height)}`)
        const [first, last] = [part[0], part.at(-1)]
        return (
          <g key={places[0]}>
            {isArea && first && last && (
              <polygon
                points={`${first.x * WIDE},${floor} ${places.join(' ')} ${last.x * WIDE},${floor}`}
                className={`${className} isArea`}
              />
            )}
            <polyline points={places.join(' ')} className={className} />
          </g>
        )
      })}
    </svg>
  )
}

function splitAtGaps<Point>(points: readonly (Point | null)[]): Point[][] {
  const parts: Point[][] = [[]]
  for (const point of points) {
    if (point === null) parts.push([])
    else parts.at(-1)?.push(point)
  }
  return parts.filter((part) => part.length > 0)
}
