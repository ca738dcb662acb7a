import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
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
    const p50 = summarise(latencies.roundsman.map((each) => each.p50))
    const p99 = summarise(latencies.roundsman.map((each) => each.p99))
    const bare = middle(latencies.pgBoss)
    const ratio = summarise(ratios(perSecond.roundsman, perSecond.pgBoss))
    return [
      {
        what: 'enqueue to handler on an idle worker, p50',
        atMost: 4,
        unit: 'ms',
        measured: p50.median,
        spread: p50,
        note: `pg-boss, which records nothing: ${formatNumber(bare.p50)} ms`,
        obstacle:
          'the work and the record of its run are a commit each, and both wait for the disk',
      },
      {
        what: 'enqueue to handler on an idle worker, p99',
        atMost: 10,
        unit: 'ms',
        measured: p99.median,
        spread: p99,
        note: `pg-boss: ${formatNumber(bare.p99)} ms`,
        obstacle: 'as above; one of a hundred also waits for something else that the machine does',
      },
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
of the handler; Roundsman has committed the run's record by then, the others record none. By itself, the way the
others' documentation begins with too, enqueueing is one statement; a transaction is three.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

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
      limit: { label: 'target 10 ms', value: 10 },
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

function measured(latencies: LatencyFigures['latencies']): LatencySide[] {
  return (Object.keys(LABELS) as LatencySide[]).filter((side) => latencies[side].length > 0)
}
