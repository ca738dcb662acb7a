// One engine and nothing else. It prepares, says so, and works when it is told to.
import { setTimeout as pause } from 'node:timers/promises'
import { giveBackMemory } from '@roundsman/node-app/giveBackMemory'
import { createRandom } from '../../createRandom.ts'
import { followDriver } from '../../followDriver.ts'
import type { Engine } from './engine.ts'
import { createBullMq } from './engines/createBullMq.ts'
import { createGraphileWorker } from './engines/createGraphileWorker.ts'
import { createPgBoss } from './engines/createPgBoss.ts'
import { createRoundsman } from './engines/createRoundsman.ts'
import { createSqlAlone } from './engines/createSqlAlone.ts'
import type { EngineChoice, EngineRun } from './runEngine.ts'

export interface EngineSettings {
  role: 'drain' | 'produce' | 'consume' | 'enqueue'
  url: string
  jobs: number
  choice: EngineChoice
  seed?: number
  /** How many are enqueued before those that count. */
  warmUp?: number
}

/** Long enough for the worker to become idle. */
const MIN_PAUSE_MS = 20

const { settings, tell, go } = followDriver<EngineSettings>()
const { url, jobs, choice, seed = 1, warmUp = 0 } = settings
const engine = await create()
await { drain, produce, consume, enqueue }[settings.role]()
await engine.close()
process.exit(0)

/** Works from a full queue to an empty one. */
async function drain(): Promise<void> {
  await engine.enqueue(jobs)
  tell({ isReady: true })
  await go()
  let handled = 0
  let firstAtMs = NaN
  const everyHandled = Promise.withResolvers<void>()
  const startedAtMs = performance.now()
  const before = performance.eventLoopUtilization()
  await engine.start(() => {
    if (handled++ === 0) firstAtMs = performance.now()
    if (handled === jobs) everyHandled.resolve()
  })
  await everyHandled.promise
  while (!(await engine.isSettled())) await pause(2)
  const settledAtMs = performance.now()
  const { active: busyMs } = performance.eventLoopUtilization(before)
  const done: EngineRun = {
    firstMs: firstAtMs - startedAtMs,
    totalMs: settledAtMs - startedAtMs,
    busyMs,
    ...(await engine.count()),
    handled,
  }
  tell({ done })
}

/** Sends one job at a time to an idle worker, and afterwards tells when it began to send, or to commit, each. */
async function produce(): Promise<void> {
  const random = createRandom(seed)
  const producer = await engine.openProducer()
  await giveBackMemory()
  tell({ isReady: true })
  await go()
  const sentAtNs: string[] = []
  for (let n = 0; n < jobs; n++) {
    await pause(MIN_PAUSE_MS + random.next() * MIN_PAUSE_MS)
    const begunAtNs = process.hrtime.bigint()
    sentAtNs.push(String((await producer.send(n)) ?? begunAtNs))
  }
  tell({ sentAtNs })
  await producer.close()
}

/** Tells when each job's handler was called, by the clock that all processes of a machine share. */
async function consume(): Promise<void> {
  const handledAtNs: string[] = []
  const everyHandled = Promise.withResolvers<void>()
  let handled = 0
  await engine.start((n) => {
    handledAtNs[n] = String(process.hrtime.bigint())
    if (++handled === jobs) everyHandled.resolve()
  })
  await giveBackMemory()
  tell({ isReady: true })
  await everyHandled.promise
  tell({ handledAtNs })
}

/** Sends one job after the other. */
async function enqueue(): Promise<void> {
  const producer = await engine.openProducer()
  for (let n = 0; n < warmUp; n++) await producer.send(n)
  const startedAtMs = performance.now()
  for (let n = 0; n < jobs; n++) await producer.send(n)
  tell({ tookMs: performance.now() - startedAtMs })
  await producer.close()
}

function create(): Promise<Engine> {
  switch (choice.engine) {
    case 'roundsman':
      return createRoundsman(url, choice.settings)
    case 'sqlAlone':
      return createSqlAlone(url, choice.settings)
    case 'pgBoss':
      return createPgBoss(url, choice.settings)
    case 'graphileWorker':
      return createGraphileWorker(url, choice.settings)
    case 'bullMq':
      return createBullMq(url, choice.settings)
    default:
      return choice satisfies never
  }
}
