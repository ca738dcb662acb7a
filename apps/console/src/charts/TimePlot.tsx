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
  /** Whether there are links in it: otherwise it is one picture. */
  isGroup?: boolean
  /** Drawn over the grid, with `plotY` as its vertical places and shares of the width as its horizontal ones. */
  children: ReactNode
}

/**
 * The grid of a chart over time: round values on the left, round times below. Horizontal positions are shares of the
 * width, so that it fits any place without measuring.
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

/** From the top, of a place on the vertical axis. */
export function plotY(place: number, height: number = PLOT_HEIGHT): number {
  return TOP + (1 - place) * (height - TOP - BOTTOM)
}

/** As wide as a chart of lines is thought to be: they are stretched to what it is. */
const WIDE = 1_000

/** Joins points by straight lines, each given by its places on both axes; a gap in them (null) interrupts it. */
export function PlotLine(props: {
  points: readonly ({ x: number; y: number } | null)[]
  className: string
  height?: number
  /** Whether what is below is filled. */
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
