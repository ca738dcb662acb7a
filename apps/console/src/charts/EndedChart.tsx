import type { ConsoleVersion } from '@roundsman/admin/contract'
import { formatRecent } from '../time/formatExact.ts'
import { BarChart, type Bar } from './BarChart.tsx'
import { describeEnded, ENDED_KINDS, seenKinds, sumEnded, type EndedCounts } from './runBars.ts'
import { timeScale } from './scales.ts'

interface EndedChartProps {
  /** Counts of spans of equal length, from the oldest to the current one. */
  spans: readonly (EndedCounts & { from: string; running?: number })[]
  lengthMs: number
  /** Such as `Runs by hour`. */
  title: string
  versions?: readonly ConsoleVersion[]
}

const RUNNING = { kind: 'running', label: 'Running' } as const
const KINDS = [...ENDED_KINDS, RUNNING]
const LABELS = 6

/** How the runs of all jobs ended that started within some spans. */
export function EndedChart({ spans, lengthMs, title, versions = [] }: EndedChartProps) {
  const total = sumEnded(spans)
  const running = spans.reduce((sum, span) => sum + (span.running ?? 0), 0)
  const ended = total.success + total.failed + total.stopped
  if (ended + running === 0) return <p className="muted">Nothing has run.</p>
  const text = ended === 0 ? 'None has ended' : describeEnded(total)
  const starts = spans.map(({ from }) => Date.parse(from))
  const [firstMs = 0] = starts
  const toMs = (starts.at(-1) ?? 0) + lengthMs
  const { place, ticks } = timeScale(firstMs, toMs - 1, LABELS)
  const bars = spans.map((span, index): Bar => {
    const at = starts[index] ?? 0
    const name = formatRecent(span.from, toMs)
    const own = span.running ?? 0
    return {
      key: span.from,
      label:
        ticks.find((tick) => tick.at >= place(at) && tick.at < place(at + lengthMs))?.label ?? null,
      name,
      tip: `${name}\n${describeEnded(span)}${own === 0 ? '' : `, ${own.toLocaleString('en')} running`}`,
      parts: KINDS.map(({ kind }) => ({ kind, value: span[kind] ?? 0 })),
    }
  })
  return (
    <>
      <p className="chartLead">{text}</p>
      <BarChart
        summary={`${title}: ${text}`}
        bars={bars}
        kinds={running === 0 ? seenKinds([total]) : [...seenKinds([total]), RUNNING]}
        versions={versions.map((one) => ({
          ...one,
          place: (Date.parse(one.at) - firstMs) / (toMs - firstMs),
        }))}
      />
    </>
  )
}
