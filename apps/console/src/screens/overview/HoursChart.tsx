import type { ConsoleOverview } from '@roundsman/fastify/contract'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { formatClock, formatShort } from '../../time/formatExact.ts'

const KINDS = [
  { kind: 'success', label: 'Success' },
  { kind: 'failed', label: 'Failed' },
  { kind: 'running', label: 'Running' },
] as const

const LABEL_EVERY = 4

export function HoursChart({ hours }: { hours: ConsoleOverview['hours'] }) {
  const ended = hours.reduce((sum, { success, failed }) => sum + success + failed, 0)
  const failed = hours.reduce((sum, hour) => sum + hour.failed, 0)
  const bars = hours.map((hour, index): Bar => ({
    key: hour.from,
    // Counted from the end, so that the hour under way always has its label.
    label:
      (hours.length - 1 - index) % LABEL_EVERY === 0 && index > 0 ? formatClock(hour.from) : null,
    name: formatShort(hour.from),
    tip: `${formatShort(hour.from)}\n${hour.success.toLocaleString('en')} succeeded, ${hour.failed.toLocaleString('en')} failed, ${hour.running.toLocaleString('en')} running`,
    parts: KINDS.map(({ kind }) => ({ kind, value: hour[kind] })),
  }))
  const count = (value: number) => value.toLocaleString('en')
  return (
    <>
      <p className="chartLead">
        {ended === 0 ? (
          'None has ended'
        ) : (
          <>
            <strong>{count(ended)}</strong> {ended === 1 ? 'run' : 'runs'} ended,{' '}
            <strong>{count(failed)}</strong> of them failed
          </>
        )}
      </p>
      <BarChart
        summary={`Runs by hour: ${count(ended)} ended in the last day, ${count(failed)} of them failed`}
        bars={bars}
        kinds={KINDS}
      />
    </>
  )
}
