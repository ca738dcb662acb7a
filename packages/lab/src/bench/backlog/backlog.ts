import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { median, middle, ratios, summarise } from '../statistics.ts'
import {
  measureBacklog,
  SITUATIONS,
  WAITS,
  type BacklogFigures,
  type Situation,
  type Wait,
} from './measureBacklog.ts'

const LABELS: Record<Wait, string> = {
  enqueue: '`POST /api/invoices/:id/pdf`, which enqueues',
  validation: '`GET /api/public/preview/:token`, which validates',
  handler: 'from `enqueue` to the handler of another job',
}

/** For a plot, beside the situation. */
const SHORT: Record<Wait, string> = {
  enqueue: 'request that enqueues',
  validation: 'request that validates',
  handler: 'enqueue to handler',
}

export const backlog = defineScenario<BacklogFigures>({
  name: 'backlog',
  title: 'Under a full backlog',
  rounds: 5,
  measure: measureBacklog,
  targets: () => [],
  render(figures) {
    const { waiting, concurrency, requests, jobs, latencies, worked, left } = figures
    const ms = (value: number) => `${formatNumber(value)} ms`
    const rows = WAITS.map((wait) => {
      const [idle, full] = SITUATIONS.map((situation) => middle(latencies[wait][situation]))
      const ratio = summarise(ratios(p99Of(figures, wait, 'backlog'), p99Of(figures, wait, 'idle')))
      return [
        LABELS[wait],
        ms(idle?.p50 ?? NaN),
        ms(idle?.p99 ?? NaN),
        ms(full?.p50 ?? NaN),
        ms(full?.p99 ?? NaN),
        `${formatNumber(ratio.median)} (${formatNumber(ratio.min)} to ${formatNumber(ratio.max)})`,
      ]
    })
    return `${formatNumber(waiting)} pieces of a job's work wait, and a worker carries them out, ${formatNumber(concurrency)} at once, each of which does nothing: it and
PostgreSQL have as much to do as they can. Beside it, on the same processors, the API answers somebody who asks for a PDF and
opens a preview by turns, ${formatNumber(requests)} times in each round; then ${formatNumber(jobs)} pieces of another job's work are enqueued, one every 20 to 40 ms, for
the same worker. ${formatNumber(summarise(worked).median)} pieces of the backlog were worked a second meanwhile, and ${formatNumber(Math.min(...left))} at least were left in the end.

${table(['', 'idle, p50', 'p99', 'full backlog, p50', 'p99', 'p99 to idle'], rows)}

${forATeam(figures)}`
  },
  plots: (figures) => [
    {
      name: 'p99',
      title: 'p99 while a worker is idle, and while it has a full backlog',
      unit: 'ms',
      bars: WAITS.flatMap((wait) =>
        SITUATIONS.map((situation) => {
          const { median: value, ...spread } = summarise(p99Of(figures, wait, situation))
          const label = `${situation}: ${SHORT[wait]}`
          return { label, value, spread, isOurs: situation === 'backlog' }
        }),
      ),
    },
  ],
})

function p99Of({ latencies }: BacklogFigures, wait: Wait, situation: Situation): number[] {
  return latencies[wait][situation].map(({ p99 }) => p99)
}

function forATeam(figures: BacklogFigures): string {
  const { waiting, worked } = figures
  const of = (wait: Wait, situation: Situation) =>
    `${formatNumber(median(p99Of(figures, wait, situation)))} ms`
  return `For a team that has just enqueued an import of ${formatNumber(waiting)} pieces: one worker would need ${formatNumber(waiting / summarise(worked).median)} s for it. Meanwhile 99 of 100 requests that
enqueue are answered within ${of('enqueue', 'backlog')} (idle: ${of('enqueue', 'idle')}), 99 of 100 visitors within ${of('validation', 'backlog')} (${of('validation', 'idle')}), and another job's
work does not queue behind the import: 99 of 100 handlers begin within ${of('handler', 'backlog')} (${of('handler', 'idle')}).`
}
