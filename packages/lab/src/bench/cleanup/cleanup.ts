import { formatNumber, table } from '../markdown.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { middle, ratios, summarise } from '../statistics.ts'
import { measureCleanup, type CleanupCase, type CleanupFigures } from './measureCleanup.ts'

export const cleanup = defineScenario<CleanupFigures>({
  name: 'cleanup',
  title: 'Clean-ups',
  rounds: 5,
  measure: measureCleanup,
  targets({ cases, validation, memory }) {
    const longest = cases.map(({ batches }) => summarise(batches.map((each) => each.longest)))
    const waits = summarise(
      ratios(
        validation.meanwhile.map(({ p99 }) => p99),
        validation.idle.map(({ p99 }) => p99),
      ),
    )
    const [few, many] = memory
    return [
      ...cases.map((each): Target => {
        const { median, ...spread } = summarise(ratios(each.sweep, each.statement))
        return {
          what: `rows/s to one hand-written statement, ${labelOf(each)}`,
          atLeast: each.dueShare < 0.1 ? 0.5 : 0.9,
          unit: '×',
          measured: median,
          spread,
          obstacle: tellRun(each),
        }
      }),
      {
        what: 'longest batch',
        atMost: 50,
        unit: 'ms',
        measured: Math.max(...longest.map(({ median }) => median)),
        spread: {
          min: Math.min(...longest.map(({ min }) => min)),
          max: Math.max(...longest.map(({ max }) => max)),
        },
      },
      {
        what: 'p99 of `GET /api/public/preview/:token` meanwhile, to idle',
        atMost: 2,
        unit: '×',
        measured: waits.median,
        spread: waits,
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
        formatNumber(summarise(ratios(each.sweep, each.statement)).median),
        formatNumber(count.median),
        `${formatNumber(p99.median)} ms`,
        `${formatNumber(longest.median)} ms (${formatNumber(longest.min)} to ${formatNumber(longest.max)})`,
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
    ['nothing runs', `${formatNumber(idle.p50)} ms`, `${formatNumber(idle.p99)} ms`],
    ['meanwhile', `${formatNumber(meanwhile.p50)} ms`, `${formatNumber(meanwhile.p99)} ms`],
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
      limit: { label: 'target 0.9', value: 0.9 },
      bars: cases.map((each) => {
        const { median, ...spread } = summarise(ratios(each.sweep, each.statement))
        return { label: labelOf(each), value: median, spread, isOurs: true }
      }),
    },
  ],
})

/** How long a run lasts and what it is busy with, beside the one statement. */
function tellRun({ rows, dueShare, sweep, statement, batches }: CleanupCase): string {
  const lasts = (perSecond: readonly number[]) =>
    `${formatNumber(((rows * dueShare) / summarise(perSecond).median) * 1_000)} ms`
  const of = (key: 'count' | 'p99') =>
    formatNumber(summarise(batches.map((batch) => batch[key])).median)
  const locked = batches.flatMap(({ lockedMs }) => lockedMs ?? [])
  const isTold = locked.length === batches.length
  const inBatches = isTold ? `, ${formatNumber(summarise(locked).median)} ms together` : ''
  return `a run lasts ${lasts(sweep)} and has ${of('count')} batches of up to ${of('p99')} ms${inBatches}, where the statement lasts ${lasts(statement)}; the rest is its record, what is counted before the first change, and the counts that commit with each batch; ADR 9 tells how much each`
}

function labelOf({ job, dueShare, layout }: CleanupCase): string {
  return `${job}, ${dueShare * 100} % due, ${layout}`
}
