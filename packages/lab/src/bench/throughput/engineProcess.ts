// One engine and nothing else. It prepares, says so, and works when it is told to.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { giveBackMemory } from '@roundsman/node-app/giveBackMemory'
import { createRandom } from '../../chaos/createRandom.ts'
import type { Engine } from './engine.ts'
import { createBullMq } from './engines/createBullMq.ts'
import { createGraphileWorker } from './engines/createGraphileWorker.ts'
import { createPgBoss } from './engines/createPgBoss.ts'
import { createRoundsman } from './engines/createRoundsman.ts'
import { createSqlAlone } from './engines/createSqlAlone.ts'
import type { EngineChoice } from './runEngine.ts'

/** Long enough for the worker to become idle. */
const MIN_PAUSE_MS = 20

const [, , role = '', url = '', count = '0', choice = '{}', seed = '1'] = process.argv
const jobs = Number(count)
const input = createInterface({ input: process.stdin })
// The process that started this one is gone.
input.once('close', () => process.exit(1))

const engine = await create(JSON.parse(choice) as EngineChoice)
switch (role) {
  case 'drain':
    await drain()
    break
  case 'produce':
    await produce()
    break
  case 'consume':
    await consume()
    break
  default:
    throw new Error(`"${role}" is no role of an engine`)
}
await engine.close()
process.exit(0)

/** Works from a full queue to an empty one. */
async function drain(): Promise<void> {
  const enqueuedAtMs = performance.now()
  await engine.enqueue(jobs)
  process.stdout.write(`prepared ${performance.now() - enqueuedAtMs}\n`)
  await once(input, 'line')

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
  const { left, audited } = await engine.count()
  const done = {
    firstMs: firstAtMs - startedAtMs,
    totalMs: settledAtMs - startedAtMs,
    busyMs,
    left,
    audited,
    handled,
  }
  process.stdout.write(`done ${JSON.stringify(done)}\n`)
}

/** Sends one job at a time to an idle worker, and afterwards prints when it began to send, or to commit, each. */
async function produce(): Promise<void> {
  const random = createRandom(Number(seed))
  const producer = await engine.openProducer()
  await giveBackMemory()
  process.stdout.write('ready\n')
  await once(input, 'line')
  const sentAtNs: string[] = []
  for (let n = 0; n < jobs; n++) {
    await pause(MIN_PAUSE_MS + random.next() * MIN_PAUSE_MS)
    const begunAtNs = process.hrtime.bigint()
    sentAtNs.push(String((await producer.send(n)) ?? begunAtNs))
  }
  process.stdout.write(`sent ${JSON.stringify(sentAtNs)}\n`)
  await producer.close()
}

/** Prints when each job's handler was called, by the clock that all processes of a machine share. */
async function consume(): Promise<void> {
  const handledAtNs: string[] = []
  const everyHandled = Promise.withResolvers<void>()
  let handled = 0
  await engine.start((n) => {
    handledAtNs[n] = String(process.hrtime.bigint())
    if (++handled === jobs) everyHandled.resolve()
  })
  await giveBackMemory()
  process.stdout.write('ready\n')
  await everyHandled.promise
  process.stdout.write(`handled ${JSON.stringify(handledAtNs)}\n`)
}

function create(engineChoice: EngineChoice): Promise<Engine> {
  switch (engineChoice.engine) {
    case 'roundsman':
      return createRoundsman(url, engineChoice.settings)
    case 'sqlAlone':
      return createSqlAlone(url, engineChoice.settings)
    case 'pgBoss':
      return createPgBoss(url, engineChoice.settings)
    case 'graphileWorker':
      return createGraphileWorker(url, engineChoice.settings)
    case 'bullMq':
      return createBullMq(url, engineChoice.settings)
    default:
      return engineChoice satisfies never
  }
}
