import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import type { Latency } from '../statistics.ts'
import { measureRequests, type RequestFigures } from './measureRequests.ts'

export const requests = defineScenario<RequestFigures>({
  name: 'requests',
  title: 'Asking for a PDF while many are waited for',
  rounds: 3,
  measure: measureRequests,
  targets: () => [],
  render({ requests: count, waiting, idle, queued, rendering }) {
    const row = (what: string, { p50, p99 }: Latency) => [
      what,
      `${formatNumber(p50)} ms`,
      `${formatNumber(p99)} ms`,
      formatNumber(p99 / idle.p99),
    ]
    const many = formatNumber(waiting)
    return `\`POST /api/invoices/:id/pdf\`, ${formatNumber(count)} of them one after the other in each round.

${table(
  ['', 'p50', 'p99', 'p99 to idle'],
  [
    row('nothing waits', idle),
    row(`${many} PDFs wait`, queued),
    row(`${many} PDFs wait, and a worker on the same machine renders them`, rendering),
  ],
)}`
  },
  plots: () => [],
})
