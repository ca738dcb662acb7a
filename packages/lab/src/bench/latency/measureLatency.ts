import { join } from 'node:path'
import type { Bench } from '../openBench.ts'
import { startProcess } from '../startProcess.ts'
import { latencyOf, type Latency } from '../statistics.ts'
import { ENGINE_PROCESS, type EngineChoice } from '../throughput/runEngine.ts'
import { startRedis } from '../throughput/startRedis.ts'

export type LatencySide = EngineChoice['engine'] | 'roundsmanInTransaction'

export interface LatencyFigures {
  jobs: number
  /** From the call that enqueues to the first line of the handler, in each round. */
  latencies: Record<LatencySide, Latency[]>
  redis: string | null
  /** Jobs enqueued a second, each in a Prisma transaction of its own, in each round. */
  enqueued: number
  perSecond: Record<EnqueueSide, number[]>
}

const ENQUEUE_SIDES = ['roundsman', 'pgBoss'] as const
type EnqueueSide = (typeof ENQUEUE_SIDES)[number]

/** How many are sent before those that count: a process does everything more slowly the first time. */
const WARM_UP = 20

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
    figures.latencies[side].push(await measureOne(CHOICES[side], url, jobs, seed))
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
  await server.dropDatabase('latency')
  await closeRedis()
  return figures
}

/** Runs producer and worker, each in a process of its own. */
async function measureOne(
  choice: EngineChoice,
  url: string,
  jobs: number,
  seed: number,
): Promise<Latency> {
  const start = (role: string) =>
    startProcess(ENGINE_PROCESS, {
      args: [role, url, String(WARM_UP + jobs), JSON.stringify(choice), String(seed)],
    })
  // Started first, since it creates the queue.
  const producer = start('produce')
  await producer.line(/^ready$/)
  const consumer = start('consume')
  await consumer.line(/^ready$/)
  producer.send('go')
  const [[, sent = '[]'], [, handled = '[]']] = await Promise.all([
    producer.line(/^sent (.+)$/),
    consumer.line(/^handled (.+)$/),
  ])
  await Promise.all([producer.stop(), consumer.stop()])
  const handledAtNs = JSON.parse(handled) as string[]
  const sentAtNs = JSON.parse(sent) as string[]
  const latenciesMs = sentAtNs.map(
    (at, n) => Number(BigInt(handledAtNs[n] ?? 0) - BigInt(at)) / 1_000_000,
  )
  return latencyOf(latenciesMs.slice(WARM_UP))
}
