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
  rounds: 5,
  measure: measureLatency,
  targets({ latencies, perSecond, statements }) {
    const ratio = summarise(ratios(perSecond.roundsman, perSecond.pgBoss))
    return [
      ...(['roundsman', 'roundsmanInTransaction'] as const).flatMap((side) => [
        against(latencies, side, 'p50', 1, statements),
        against(latencies, side, 'p99', 1.15, statements),
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
record none. Each process has collected before what loading its code left behind, as the product's worker does when it has
started; else V8 does so during the first hundred jobs and holds one or two of them up for 10 ms. By itself, the way the others' documentation begins with too, enqueueing is one statement.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

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
)}

${forATeam(latencies, perSecond)}`
  },
  plots: ({ latencies }) =>
    (['p50', 'p99'] as const).map((which) => ({
      name: which,
      title: `Enqueue to handler on an idle worker, ${which}`,
      unit: 'ms',
      bars: measured(latencies).map((side) => {
        const { median, ...spread } = summarise(latencies[side].map((each) => each[which]))
        return {
          label: LABELS[side].replaceAll('`', ''),
          value: median,
          spread,
          isOurs: side.startsWith('roundsman'),
        }
      }),
    })),
})

function forATeam(
  latencies: LatencyFigures['latencies'],
  perSecond: LatencyFigures['perSecond'],
): string {
  const { p50, p99 } = middle(latencies.roundsmanInTransaction)
  const one = 1_000 / summarise(perSecond.roundsman).median
  return `For a team whose requests enqueue in a Prisma transaction: half of the handlers have begun ${formatNumber(p50)} ms after the commit was
asked for and 99 of 100 after ${formatNumber(p99)} ms, with the run on record. A transaction that does nothing else takes ${formatNumber(one)} ms,
so a team with 10 such requests a second keeps one connection busy for ${formatNumber(one)} % of the time.`
}

function against(
  latencies: LatencyFigures['latencies'],
  side: LatencySide,
  quantile: 'p50' | 'p99',
  atMost: number,
  statements: LatencyFigures['statements'],
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
    ...(statements && { obstacle: tellStatements(statements) }),
  }
}

function tellStatements({ roundsman, pgBoss }: NonNullable<LatencyFigures['statements']>): string {
  const ms = (value: number) => `${formatNumber(value)} ms`
  return `on the way PostgreSQL takes ${ms(roundsman.enqueue)} for the insert, ${ms(roundsman.wakeUp)} for the wake-up and ${ms(roundsman.claim)} for the claim, which records the run, and two commits are waited for; all statements of a job together take ${ms(roundsman.all)}, those of pg-boss ${ms(pgBoss.all)}`
}

function measured(latencies: LatencyFigures['latencies']): LatencySide[] {
  return (Object.keys(LABELS) as LatencySide[]).filter((side) => latencies[side].length > 0)
}
