import type { ConsoleJob } from '@roundsman/api/console'
import { BarChart, type Bar } from '../../charts/BarChart.tsx'
import { formatShort } from '../../time/formatExact.ts'

const KINDS = [{ kind: 'plain', label: 'Rows' }] as const

export function CountsChart({ name, runs }: { name: string; runs: ConsoleJob['recentRuns'] }) {
  const counted = runs.filter((run) => run.cleaned !== null)
  if (counted.length === 0) {
    return <p className="muted chartPlace">None of its last runs has counted any.</p>
  }
  const total = counted.reduce((sum, run) => sum + (run.cleaned ?? 0), 0)
  const bars = counted.map((run): Bar => ({
    key: run.id,
    label: null,
    name: formatShort(run.startedAt),
    tip: `${formatShort(run.startedAt)}\n${(run.cleaned ?? 0).toLocaleString('en')} rows`,
    parts: [{ kind: 'plain', value: run.cleaned ?? 0 }],
  }))
  return (
    <BarChart
      summary={`Rows cleaned by the last ${counted.length} runs of ${name}: ${total.toLocaleString('en')} in all`}
      bars={bars}
      ends={[bars[0]?.name ?? '', bars.at(-1)?.name ?? '']}
      kinds={KINDS}
    />
  )
}
