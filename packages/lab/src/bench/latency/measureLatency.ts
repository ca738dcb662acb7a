import { join } from 'node:path'
import type { Bench } from '../openBench.ts'
import { startProcess } from '../startProcess.ts'
import { durationsOf, withDurations, type Execution } from '../statementDurations.ts'
import { median, type Latency } from '../statistics.ts'
import type { EngineChoice } from '../throughput/runEngine.ts'
import { startRedis } from '../throughput/startRedis.ts'
import { measureHandlers, WARM_UP } from './measureHandlers.ts'

export type LatencySide = Exclude<EngineChoice['engine'], 'sqlAlone'> | 'roundsmanInTransaction'

export interface LatencyFigures {
  jobs: number
  /** From the call that enqueues to the first line of the handler, in each round. */
  latencies: Record<LatencySide, Latency[]>
  redis: string | null
  /** What PostgreSQL takes for the statements of one job, in milliseconds, commits left out. */
  statements?: {
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

const ENQUEUE_PROCESS = join(import.meta.dirname, 'enqueueProcess.ts')

const CHOICES: Record<LatencySide, EngineChoice> = {
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
const SIDES = Object.keys(CHOICES) as LatencySide[]

export async function measureLatency(bench: Bench): Promise<LatencyFigures> {
  const jobs = bench.sized({ small: 20, full: 200 })
  const enqueued = bench.sized({ small: 100, full: 3_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const figures: LatencyFigures = {
    jobs,
    latencies: {
      roundsman: [],
      roundsmanInTransaction: [],
      pgBoss: [],
      graphileWorker: [],
      bullMq: [],
    },
    redis: redis?.version ?? null,
    enqueued,
    perSecond: { roundsman: [], pgBoss: [] },
  }
  const sides = SIDES.filter((side) => side !== 'bullMq' || redis !== null)
  await bench.interleave(sides, async (side, round) => {
    bench.progress(`round ${round + 1}, ${side}`)
    const url = side === 'bullMq' ? (redis?.url ?? '') : await server.createDatabase('latency')
    const seed = bench.seed * 1_000 + round
    figures.latencies[side].push(await measureHandlers(CHOICES[side], url, jobs, seed))
  })
  await bench.interleave(ENQUEUE_SIDES, async (side, round) => {
    bench.progress(`round ${round + 1}, enqueueing by ${side}`)
    const url = await server.createDatabase('latency')
    const child = startProcess(ENQUEUE_PROCESS, { args: [side, url, String(enqueued)] })
    await child.line(/^ready$/)
    child.send('go')
    const [, tookMs = ''] = await child.line(/^took (.+)$/)
    figures.perSecond[side].push((enqueued / Number(tookMs)) * 1_000)
    await child.stop()
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
  figures.statements = { roundsman: await readStatements('roundsman'), pgBoss: { all } }
  await server.dropDatabase('latency')
  await closeRedis()
  return figures
}

/** The time of all statements that were carried out for each job. Those that a worker sends when it starts do not count. */
function sumTimePerJob(executions: readonly Execution[], jobs: number): number {
  const byText = [...Map.groupBy(executions, ({ text }) => text).values()]
  const carriedOutForEach = byText.filter((same) => same.length >= jobs)
  return carriedOutForEach.flat().reduce((total, { ms }) => total + ms, 0)
}
