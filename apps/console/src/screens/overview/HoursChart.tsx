import type { ConsoleOverview } from '@roundsman/fastify/contract'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { describeEnded, ENDED_KINDS, seenKinds, sumEnded } from '../../charts/runBars.ts'
import { formatClock, formatShort } from '../../time/formatExact.ts'

const RUNNING = { kind: 'running', label: 'Running' } as const
const KINDS = [...ENDED_KINDS, RUNNING]
const LABEL_EVERY = 4

export function HoursChart({ hours }: { hours: ConsoleOverview['hours'] }) {
  const total = sumEnded(hours)
  const running = hours.reduce((sum, hour) => sum + hour.running, 0)
  const ended = total.success + total.failed + total.stopped
  if (ended + running === 0) return <p className="muted">Nothing has run.</p>
  const text = ended === 0 ? 'None has ended' : describeEnded(total)
  const bars = hours.map((hour, index): Bar => ({
    key: hour.from,
    // Counted from the end, so that the hour under way always has its label.
    label:
      (hours.length - 1 - index) % LABEL_EVERY === 0 && index > 0 ? formatClock(hour.from) : null,
    name: formatShort(hour.from),
    tip: `${formatShort(hour.from)}\n${describeEnded(hour)}${hour.running === 0 ? '' : `, ${hour.running.toLocaleString('en')} running`}`,
    parts: KINDS.map(({ kind }) => ({ kind, value: hour[kind] })),
  }))
  return (
    <>
      <p className="chartLead">{text}</p>
      <BarChart
        summary={`Runs by hour: ${text} in the last day`}
        bars={bars}
        kinds={running === 0 ? seenKinds([total]) : [...seenKinds([total]), RUNNING]}
      />
    </>
  )
}
