// One of the suite's workers. The driver tells it how to behave.
import { createLogger } from '@roundsman/node-app'
import { createWorker } from '@roundsman/engine/worker'
import { chaosJobs, createChaosHandlers } from './chaosJobs.ts'
import { createRandom } from '../createRandom.ts'
import { followDriver } from '../followDriver.ts'
import { openPrisma } from '../product.ts'
import type { WorkerCommand, WorkerSettings } from './startWorker.ts'

let clockOffsetMs = 0
const { settings, runWorker } = followDriver<WorkerSettings>((line) => {
  const command = JSON.parse(line) as WorkerCommand
  clockOffsetMs = command.clockOffsetMs ?? clockOffsetMs
  sweepPauseMs = command.sweepPauseMs ?? sweepPauseMs
})
let { sweepPauseMs } = settings

const { databaseUrl, seed, sweepBatch, drainTimeoutMs } = settings
const client = openPrisma(databaseUrl, 'chaos worker')
await runWorker(
  createWorker({
    schema: 'public',
    retention: false,
    databaseUrl,
    client,
    jobs: chaosJobs,
    handlers: createChaosHandlers({
      client,
      random: createRandom(seed),
      sweepBatch,
      sweepPauseMs: () => sweepPauseMs,
    }),
    log: createLogger({ app: 'chaos', level: 'warn' }),
    drainTimeoutMs,
    now: () => new Date(Date.now() + clockOffsetMs),
  }),
)
