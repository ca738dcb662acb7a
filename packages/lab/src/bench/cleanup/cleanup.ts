import { formatNumber, ms, range, table } from '../../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { compare, middle, summarise } from '../../statistics.ts'
import { measureCleanup, type CleanupCase, type CleanupFigures } from './measureCleanup.ts'

export const cleanup = defineScenario<CleanupFigures>({
  name: 'cleanup',
  title: 'Clean-ups',
  rounds: 5,
  measure: measureCleanup,
  targets({ cases, validation, memory }) {
    const longest = cases.map(({ batches }) => summarise(batches.map((each) => each.longest)))
    const [few, many] = memory
    return [
      ...cases.map((each) => ({
        what: `rows/s to one hand-written statement, ${labelOf(each)}`,
        atLeast: each.dueShare < 0.1 ? 0.5 : 0.7,
        unit: '×',
        measured: compare(each.sweep, each.statement),
        obstacle: tellRun(each),
      })),
      {
        what: 'longest batch',
        atMost: 50,
        unit: 'ms',
        measured: {
          median: Math.max(...longest.map(({ median }) => median)),
          min: Math.min(...longest.map(({ min }) => min)),
          max: Math.max(...longest.map(({ max }) => max)),
        },
      },
      {
        what: 'p99 of `GET /api/public/preview/:token` meanwhile, to idle',
        atMost: 2,
        unit: '×',
        measured: compare(
          validation.meanwhile.map(({ p99 }) => p99),
          validation.idle.map(({ p99 }) => p99),
        ),
      },
      {
        what: `peak memory at ${formatNumber(many?.rows ?? NaN)} rows, to ${formatNumber(few?.rows ?? NaN)}`,
        atMost: 1.1,
        unit: '×',
        measured: (many?.peakMb ?? NaN) / (few?.peakMb ?? NaN),
      },
    ]
  },
  render({ cases, validation, memory }) {
    const rows = cases.map((each) => {
      const count = summarise(each.batches.map((batch) => batch.count))
      const p99 = summarise(each.batches.map((batch) => batch.p99))
      const longest = summarise(each.batches.map((batch) => batch.longest))
      return [
        labelOf(each),
        formatNumber(summarise(each.sweep).median),
        formatNumber(summarise(each.statement).median),
        formatNumber(compare(each.sweep, each.statement).median),
        formatNumber(count.median),
        ms(p99.median),
        `${ms(longest.median)} (${range(longest)})`,
      ]
    })
    const idle = middle(validation.idle)
    const meanwhile = middle(validation.meanwhile)
    return `Tables of ${formatNumber(cases[0]?.rows ?? 0)} rows, of sessions ${formatNumber(cases.at(-1)?.rows ?? 0)}, vacuumed and analysed; a fresh copy for every run. The job runs by \`pnpm worker:once\`, in
batches whose counts commit with them; beside it the one statement that somebody would write by hand, which holds its
locks from beginning to end and counts nothing. Rows that are due lie together or scattered over the table. A batch lasts
from its first lock to its commit.

${table(['', 'rows/s', 'by hand', 'ratio', 'batches', 'p99 of a batch', 'longest'], rows)}

\`GET /api/public/preview/:token\` by one visitor after the other, ${formatNumber(validation.rows)} sessions of which half are due:

${table(
  ['', 'p50', 'p99'],
  [
    ['nothing runs', ms(idle.p50), ms(idle.p99)],
    ['meanwhile', ms(meanwhile.p50), ms(meanwhile.p99)],
  ],
)}

${table(
  ['rows in the table', 'cleaned', 'peak memory of the process'],
  memory.map((each) => [
    formatNumber(each.rows),
    formatNumber(each.cleaned),
    `${formatNumber(each.peakMb)} MB`,
  ]),
)}`
  },
  plots: ({ cases }) => [
    {
      name: 'ratio',
      title: 'Rows per second, to one hand-written statement',
      unit: '×',
      limit: { label: 'target 0.7', value: 0.7 },
      bars: cases.map((each) => ({
        label: labelOf(each),
        value: compare(each.sweep, each.statement),
        isOurs: true,
      })),
    },
  ],
})

/** How long a run lasts and what it is busy with, beside the one statement. */
function tellRun({ rows, dueShare, sweep, statement, batches }: CleanupCase): string {
  const lasts = (perSecond: readonly number[]) =>
    `${formatNumber(((rows * dueShare) / summarise(perSecond).median) * 1_000)} ms`
  const of = (key: 'count' | 'p99') =>
    formatNumber(summarise(batches.map((batch) => batch[key])).median)
  const together = formatNumber(summarise(batches.map(({ lockedMs }) => lockedMs)).median)
  return `a run lasts ${lasts(sweep)} and has ${of('count')} batches of up to ${of('p99')} ms, ${together} ms together, where the statement lasts ${lasts(statement)}; the rest is its record, what is counted before the first change, and the counts that commit with each batch; ADR 9 tells how much each`
}

function labelOf({ job, dueShare, layout }: CleanupCase): string {
  return `${job}, ${dueShare * 100} % due, ${layout}`
}
