import { formatNumber, ms, range, table } from '../../markdown.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { compare, middle, summarise } from '../../statistics.ts'
import { measureRuns, type RunsFigures } from './measureRuns.ts'

type Read = RunsFigures['reads'][number]

const OBSTACLES: Partial<Record<Read['kind'], string>> = {
  page: 'equal pages swing by half from round to round',
}

export const runs = defineScenario<RunsFigures>({
  name: 'runs',
  title: 'Reading runs',
  rounds: 3,
  measure: measureRuns,
  targets({ reads, pages, perSecond }) {
    const worst = (kind: Read['kind'], what: string): Target => {
      const all = reads
        .filter((read) => read.kind === kind)
        .map((read) => ({ read, ...slowdown(read.latencies) }))
      const slowest = all.toSorted((one, other) => other.median - one.median)[0]
      return {
        what,
        atMost: 1.5,
        unit: '×',
        measured: slowest ?? null,
        note: slowest && `slowest: ${slowest.read.what}`,
        obstacle: OBSTACLES[kind],
      }
    }
    return [
      {
        what: 'p99 of a page, over all filters, many runs to few',
        atMost: 1.5,
        unit: '×',
        measured: slowdown(pages),
      },
      worst('page', 'the same of the filter that is slowed down most'),
      worst('csv', 'p99 of the first byte of the CSV, many runs to few'),
      worst('console', "p99 of the console's pages, many runs to few"),
      {
        what: 'requests/s to the same query by bare pg',
        atLeast: 0.7,
        unit: '×',
        measured: compare(perSecond.api, perSecond.bare),
        obstacle:
          "each answer is checked against its schema, each request logged, and those of one turn of the event loop look their callers' roles up",
      },
    ]
  },
  render({ rows, fillMs, requests, reads, pages, perSecond }) {
    const line = ({ what, latencies }: Pick<Read, 'what' | 'latencies'>) => {
      const few = middle(latencies.few)
      const many = middle(latencies.many)
      const slower = slowdown(latencies)
      return [
        what,
        ...[few.p50, few.p99, many.p50, many.p99].map(ms),
        formatNumber(slower.median),
        range(slower),
      ]
    }
    const speed = (side: 'api' | 'bare') => {
      const summary = summarise(perSecond[side])
      return [formatNumber(summary.median), range(summary)]
    }
    const few = formatNumber(rows.few)
    const many = formatNumber(rows.many)
    return `\`GET /api/jobs/runs\` and what else reads runs, with ${few} and with ${many} of them: 111,111 a day up to now, of which a hundredth
failed and a thousandth were started by a person (filled in within ${formatNumber(fillMs / 1_000)} s). The few are the newest of the many and, further
back, up to 1,000 of each job by trigger, failed and not: a page of what is seldom is as long on both sides, so that what differs is
how many runs are beside it. A round asks for each kind ${formatNumber(requests)} times, for those of the CSV and of the console half as often: one
request after the other, by turns with few and with many runs, after some on both sides that do not count. A p99 is of one kind in
one round.

${table(
  ['', `p50 of ${few}`, 'p99', `p50 of ${many}`, 'p99', 'p99, many to few', 'all rounds'],
  [...reads, { what: 'all pages together', latencies: pages }].map(line),
)}

The first page from 8 connections at once, with ${many} runs. Ours also checks the token, asks the database for the caller's role,
bounds every column, and checks query and answer against their schemas; beside it a server of \`node:http\` and \`pg\` that answers
the same columns by a prepared statement, as ours is, and does none of that.

${table(
  ['', 'requests/s', 'all rounds'],
  [
    ['Roundsman', ...speed('api')],
    ['the same query by bare pg', ...speed('bare')],
  ],
)}`
  },
  plots: ({ rows, reads }) => [
    {
      name: 'p99',
      title: `p99 with ${formatNumber(rows.many)} runs, to that with ${formatNumber(rows.few)}`,
      unit: '×',
      limit: { label: 'target 1.5', value: 1.5 },
      bars: reads.map((read) => ({
        label: read.what,
        value: slowdown(read.latencies),
        isOurs: true,
      })),
    },
  ],
})

function slowdown({ few, many }: Read['latencies']) {
  return compare(
    many.map(({ p99 }) => p99),
    few.map(({ p99 }) => p99),
  )
}
