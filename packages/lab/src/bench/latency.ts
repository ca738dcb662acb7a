import { formatNumber, ms, range, table } from '../markdown.ts'
import { bySide, compare, median, middle, summarise, type Latency } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { defineScenario, type Target } from './scenario.ts'
import { durationsOf, withDurations, type Execution } from './statementDurations.ts'
import {
  measureEnqueues,
  measureHandlers,
  WARM_UP,
  type EngineChoice,
} from './throughput/runEngine.ts'
import { startRedis } from './throughput/startRedis.ts'

interface LatencyFigures {
  jobs: number
  /** From the call that enqueues to the first line of the handler, in each round. */
  latencies: Record<Side, Latency[]>
  redis: string | null
  /** What PostgreSQL takes for the statements of one job, in milliseconds, commits left out. */
  statements: {
    /** On the way to the handler. */
    roundsman: { enqueue: number; wakeUp: number; claim: number; all: number }
    pgBoss: { all: number }
  }
  /** Jobs enqueued a second, each in a Prisma transaction of its own, in each round. */
  enqueued: number
  perSecond: Record<EnqueueSide, number[]>
}

const ENQUEUE_SIDES = ['roundsman', 'pgBoss'] as const
type EnqueueSide = (typeof ENQUEUE_SIDES)[number]

const LABELS = {
  roundsman: 'Roundsman, by `enqueueNow(…)`',
  roundsmanInTransaction: 'Roundsman, in a `prisma.$transaction`',
  pgBoss: 'pg-boss with LISTEN/NOTIFY',
  graphileWorker: 'graphile-worker',
  bullMq: 'BullMQ on Redis',
}
type Side = keyof typeof LABELS
const SIDES = Object.keys(LABELS) as Side[]

const CHOICES: Record<Side, EngineChoice> = {
  roundsman: { engine: 'roundsman', settings: { concurrency: 10 } },
  roundsmanInTransaction: {
    engine: 'roundsman',
    settings: { concurrency: 10, inTransaction: true },
  },
  // With a batch of one, pg-boss sleeps after each job even when it is notified.
  pgBoss: {
    engine: 'pgBoss',
    settings: { batchSize: 2, localConcurrency: 1, perJobResults: false, notify: true },
  },
  graphileWorker: {
    engine: 'graphileWorker',
    settings: { concurrentJobs: 10, localQueue: 0, audit: false },
  },
  bullMq: { engine: 'bullMq', settings: { concurrency: 10, removeOnComplete: true } },
}
const ENQUEUE_CHOICES: Record<EnqueueSide, EngineChoice> = {
  roundsman: CHOICES.roundsmanInTransaction,
  pgBoss: {
    engine: 'pgBoss',
    settings: {
      batchSize: 2,
      localConcurrency: 1,
      perJobResults: false,
      notify: false,
      inTransaction: true,
    },
  },
}

export const latency = defineScenario<LatencyFigures>({
  name: 'latency',
  title: 'Latency',
  rounds: 5,
  measure: measureLatency,
  targets: (figures) => [
    ...(['roundsman', 'roundsmanInTransaction'] as const).flatMap((side) => [
      against(figures, side, 'p50', 1),
      against(figures, side, 'p99', 1.15),
    ]),
    {
      what: 'enqueues/s in Prisma transactions, to bare pg-boss `send`',
      atLeast: 0.9,
      unit: '×',
      measured: compare(figures.perSecond.roundsman, figures.perSecond.pgBoss),
    },
  ],
  render({ jobs, latencies, enqueued, perSecond, redis }) {
    const rows = measured(latencies).map((side) => {
      const { p50, p99 } = middle(latencies[side])
      const spread = summarise(latencies[side].map((each) => each.p99))
      return [LABELS[side], ms(p50), ms(p99), `${range(spread)} ms`]
    })
    const speed = (side: EnqueueSide) => {
      const summary = summarise(perSecond[side])
      return [formatNumber(summary.median), range(summary)]
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
      bars: measured(latencies).map((side) => ({
        label: LABELS[side].replaceAll('`', ''),
        value: summarise(latencies[side].map((each) => each[which])),
        isOurs: side.startsWith('roundsman'),
      })),
    })),
})

function measured(latencies: LatencyFigures['latencies']): Side[] {
  return SIDES.filter((side) => latencies[side].length > 0)
}

function forATeam(
  latencies: LatencyFigures['latencies'],
  perSecond: LatencyFigures['perSecond'],
): string {
  const { p50, p99 } = middle(latencies.roundsmanInTransaction)
  const one = 1_000 / summarise(perSecond.roundsman).median
  return `For a team whose requests enqueue in a Prisma transaction: half of the handlers have begun ${ms(p50)} after the commit was
asked for and 99 of 100 after ${ms(p99)}, with the run on record. A transaction that does nothing else takes ${ms(one)},
so a team with 10 such requests a second keeps one connection busy for ${formatNumber(one)} % of the time.`
}

function against(
  { latencies, statements: { roundsman, pgBoss } }: LatencyFigures,
  side: 'roundsman' | 'roundsmanInTransaction',
  quantile: 'p50' | 'p99',
  atMost: number,
): Target {
  const ours = latencies[side].map((each) => each[quantile])
  const theirs = latencies.pgBoss.map((each) => each[quantile])
  const way = side === 'roundsman' ? 'enqueue' : 'commit of a Prisma transaction'
  return {
    what: `${way} to handler on an idle worker, to bare pg-boss with LISTEN, ${quantile}`,
    atMost,
    unit: '×',
    measured: compare(ours, theirs),
    note: `${ms(summarise(ours).median)} to ${ms(summarise(theirs).median)}, and pg-boss records nothing`,
    obstacle: `on the way PostgreSQL takes ${ms(roundsman.enqueue)} for the insert, ${ms(roundsman.wakeUp)} for the wake-up and ${ms(roundsman.claim)} for the claim, which records the run, and two commits are waited for; all statements of a job together take ${ms(roundsman.all)}, those of pg-boss ${ms(pgBoss.all)}`,
  }
}

async function measureLatency(bench: Bench): Promise<LatencyFigures> {
  const jobs = bench.sized({ small: 20, full: 200 })
  const enqueued = bench.sized({ small: 100, full: 3_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const latencies = bySide(SIDES, (): Latency[] => [])
  const perSecond = bySide(ENQUEUE_SIDES, (): number[] => [])
  const sides = SIDES.filter((side) => side !== 'bullMq' || redis !== null)
  await bench.interleave(sides, async (side, round) => {
    bench.progress(`round ${round + 1}, ${side}`)
    const url = side === 'bullMq' ? (redis?.url ?? '') : await server.createDatabase('latency')
    const seed = bench.seed * 1_000 + round
    latencies[side].push(await measureHandlers(CHOICES[side], url, jobs, seed))
  })
  await bench.interleave(ENQUEUE_SIDES, async (side, round) => {
    bench.progress(`round ${round + 1}, enqueueing by ${side}`)
    const url = await server.createDatabase('latency')
    perSecond[side].push(await measureEnqueues(ENQUEUE_CHOICES[side], url, enqueued))
  })
  const readStatements = async (side: EnqueueSide) => {
    bench.progress(`what PostgreSQL takes for statements of ${side}`)
    const url = await server.createDatabase('latency')
    return await withDurations(server, url, async (read) => {
      await measureHandlers(CHOICES[side], url, jobs, bench.seed)
      const executions = await read()
      const of = (beginning: string) => median(durationsOf(executions, beginning))
      return {
        enqueue: of('/* roundsman_send'),
        wakeUp: of(`select set_config('lock_timeout'`),
        claim: of('with alive as materialized'),
        all: sumTimePerJob(executions, jobs) / (WARM_UP + jobs),
      }
    })
  }
  const { all } = await readStatements('pgBoss')
  const statements = { roundsman: await readStatements('roundsman'), pgBoss: { all } }
  await server.dropDatabase('latency')
  await closeRedis()
  return { jobs, latencies, redis: redis?.version ?? null, enqueued, perSecond, statements }
}

/** The time of all statements that were carried out for each job. Those that a worker sends when it starts do not count. */
function sumTimePerJob(executions: readonly Execution[], jobs: number): number {
  const byText = [...Map.groupBy(executions, ({ text }) => text).values()]
  const carriedOutForEach = byText.filter((same) => same.length >= jobs)
  return carriedOutForEach.flat().reduce((total, { ms: took }) => total + took, 0)
}
