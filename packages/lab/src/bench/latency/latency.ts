import { formatNumber, table } from '../markdown.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { middle, ratios, summarise } from '../statistics.ts'
import { measureLatency, type LatencyFigures, type LatencySide } from './measureLatency.ts'

const LABELS: Record<LatencySide, string> = {
  roundsman: 'Roundsman, by `enqueue(prisma, …)`',
  roundsmanInTransaction: 'Roundsman, in a `prisma.$transaction`',
  pgBoss: 'pg-boss with LISTEN/NOTIFY',
  graphileWorker: 'graphile-worker',
  bullMq: 'BullMQ on Redis',
}

export const latency = defineScenario<LatencyFigures>({
  name: 'latency',
  title: 'Latency',
  rounds: 3,
  measure: measureLatency,
  targets({ latencies, perSecond }) {
    const ratio = summarise(ratios(perSecond.roundsman, perSecond.pgBoss))
    return [
      ...(['roundsman', 'roundsmanInTransaction'] as const).flatMap((side) => [
        against(latencies, side, 'p50', 1),
        against(latencies, side, 'p99', 1.15),
      ]),
      {
        what: 'enqueues/s in Prisma transactions, to bare pg-boss `send`',
        atLeast: 0.9,
        unit: '×',
        measured: ratio.median,
        spread: ratio,
      },
    ]
  },
  render({ jobs, latencies, enqueued, perSecond, redis }) {
    const rows = measured(latencies).map((side) => {
      const { p50, p99 } = middle(latencies[side])
      const spread = summarise(latencies[side].map((each) => each.p99))
      return [
        LABELS[side],
        `${formatNumber(p50)} ms`,
        `${formatNumber(p99)} ms`,
        `${formatNumber(spread.min)} to ${formatNumber(spread.max)} ms`,
      ]
    })
    const speed = (side: 'roundsman' | 'pgBoss') => {
      const { median, min, max } = summarise(perSecond[side])
      return [formatNumber(median), `${formatNumber(min)} to ${formatNumber(max)}`]
    }
    return `${formatNumber(jobs)} jobs a round, one after the other with 20 to 40 ms in between, from a producer in one process to an
idle worker in another. The time runs from before the call that enqueues, so it includes the commit, to the first line
of the handler; in a transaction, from before its commit. Roundsman has committed the run's record by then, the others
record none. By itself, the way the others' documentation begins with too, enqueueing is one statement.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

${table(['', 'p50', 'p99', 'p99 in all rounds'], rows)}

${formatNumber(enqueued)} jobs enqueued one after the other, each in a \`prisma.$transaction\` that does nothing else, into the same queue with
nobody working on it: by \`client.enqueue(tx, job, payload)\`, and by \`boss.send(queue, data, { db: fromPrisma(tx) })\` of
pg-boss by itself. Ours also validates the payload and makes the id.

${table(
  ['', 'enqueued/s', 'all rounds'],
  [
    ['Roundsman', ...speed('roundsman')],
    ['pg-boss', ...speed('pgBoss')],
  ],
)}`
  },
  plots: ({ latencies }) => [
    {
      name: 'p99',
      title: 'Enqueue to handler on an idle worker, p99',
      unit: 'ms',
      bars: measured(latencies).map((side) => {
        const { median, ...spread } = summarise(latencies[side].map(({ p99 }) => p99))
        return {
          label: LABELS[side].replaceAll('`', ''),
          value: median,
          spread,
          isOurs: side.startsWith('roundsman'),
        }
      }),
    },
  ],
})

function against(
  latencies: LatencyFigures['latencies'],
  side: LatencySide,
  quantile: 'p50' | 'p99',
  atMost: number,
): Target {
  const ours = latencies[side].map((each) => each[quantile])
  const theirs = latencies.pgBoss.map((each) => each[quantile])
  const { median, ...spread } = summarise(ratios(ours, theirs))
  const way = side === 'roundsman' ? 'enqueue' : 'commit of a Prisma transaction'
  return {
    what: `${way} to handler on an idle worker, to bare pg-boss with LISTEN, ${quantile}`,
    atMost,
    unit: '×',
    measured: median,
    spread,
    note: `${formatNumber(summarise(ours).median)} ms to ${formatNumber(summarise(theirs).median)} ms, and pg-boss records nothing`,
    obstacle:
      'the wake-up is a statement of its own, and the record of the run is on disk before the handler starts',
  }
}

function measured(latencies: LatencyFigures['latencies']): LatencySide[] {
  return (Object.keys(LABELS) as LatencySide[]).filter((side) => latencies[side].length > 0)
}
