import { join } from 'node:path'
import { startProcess } from '../../startProcess.ts'
import { latencyOf, type Latency } from '../../statistics.ts'
import type { EngineSettings } from './engineProcess.ts'
import type { BullMqSettings } from './engines/createBullMq.ts'
import type { GraphileWorkerSettings } from './engines/createGraphileWorker.ts'
import type { PgBossSettings } from './engines/createPgBoss.ts'
import type { RoundsmanSettings } from './engines/createRoundsman.ts'
import type { SqlAloneSettings } from './engines/createSqlAlone.ts'

export type EngineChoice =
  | { engine: 'roundsman'; settings: RoundsmanSettings }
  | { engine: 'sqlAlone'; settings: SqlAloneSettings }
  | { engine: 'pgBoss'; settings: PgBossSettings }
  | { engine: 'graphileWorker'; settings: GraphileWorkerSettings }
  | { engine: 'bullMq'; settings: BullMqSettings }

/** What an engine says of its way from a full queue to an empty one. */
export interface EngineRun {
  /** From the start of the engine to its first handler. */
  firstMs: number
  /** From the start of the engine to the last job that is settled. */
  totalMs: number
  /** For how much of that its thread had something to do. */
  busyMs: number
  left: number
  audited: number | null
  handled: number
}

const ENGINE_PROCESS = join(import.meta.dirname, 'engineProcess.ts')
/** How many are sent before those that count: a process does everything more slowly the first time. */
export const WARM_UP = 20
const ENQUEUES_WARM_UP = 300

const start = (settings: EngineSettings) => startProcess(ENGINE_PROCESS, { settings })

/**
 * Runs one engine from an empty queue to an empty queue.
 * @throws Error when it did not do what it was given
 */
export async function runEngine(
  choice: EngineChoice,
  url: string,
  jobs: number,
  beforeStart: () => Promise<void>,
): Promise<EngineRun> {
  const child = start({ role: 'drain', url, jobs, choice })
  try {
    await child.told('isReady')
    await beforeStart()
    child.send('go')
    const done = await child.told<EngineRun>('done')
    if (done.left !== 0 || done.handled !== jobs || (done.audited ?? jobs) !== jobs) {
      throw new Error(`${choice.engine} was given ${jobs} jobs and says: ${JSON.stringify(done)}`)
    }
    return done
  } finally {
    await child.stop()
  }
}

/**
 * From the call that enqueues to the first line of the handler. Producer and worker are processes of their own.
 */
export async function measureHandlers(
  choice: EngineChoice,
  url: string,
  jobs: number,
  seed: number,
): Promise<Latency> {
  const settings = { url, jobs: WARM_UP + jobs, choice, seed }
  // Started first, since it creates the queue.
  const producer = start({ role: 'produce', ...settings })
  await producer.told('isReady')
  const consumer = start({ role: 'consume', ...settings })
  await consumer.told('isReady')
  producer.send('go')
  const [sentAtNs, handledAtNs] = await Promise.all([
    producer.told<string[]>('sentAtNs'),
    consumer.told<string[]>('handledAtNs'),
  ])
  await Promise.all([producer.stop(), consumer.stop()])
  const latenciesMs = sentAtNs.map(
    (at, n) => Number(BigInt(handledAtNs[n] ?? 0) - BigInt(at)) / 1_000_000,
  )
  return latencyOf(latenciesMs.slice(WARM_UP))
}

/** How many jobs are enqueued in a second, one after the other, while nobody takes them. */
export async function measureEnqueues(
  choice: EngineChoice,
  url: string,
  jobs: number,
): Promise<number> {
  const child = start({ role: 'enqueue', url, jobs, choice, warmUp: ENQUEUES_WARM_UP })
  const tookMs = await child.told<number>('tookMs')
  await child.stop()
  return (jobs / tookMs) * 1_000
}
