// One of the suite's workers. The driver tells it how to behave.
import { createDatabaseClient } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import { createWorker } from '@roundsman/engine/worker'
import { chaosJobs, createChaosHandlers } from './chaosJobs.ts'
import { createRandom } from '../createRandom.ts'
import { followDriver } from '../followDriver.ts'
import type { WorkerCommand, WorkerSettings } from './startWorker.ts'

let clockOffsetMs = 0
const { settings, tell } = followDriver<WorkerSettings>((line) => {
  const command = JSON.parse(line) as WorkerCommand
  clockOffsetMs = command.clockOffsetMs ?? clockOffsetMs
  sweepPauseMs = command.sweepPauseMs ?? sweepPauseMs
})
let { sweepPauseMs } = settings

// Ctrl-C signals the whole process group. The driver ends the others itself.
process.on('SIGINT', () => undefined)

const log = createLogger({ app: 'chaos', level: 'warn' })
const prisma = createDatabaseClient({
  url: settings.databaseUrl,
  applicationName: 'chaos worker',
  onPoolError: (error) => log.debug({ err: error }, 'database connection lost'),
})
const worker = createWorker({
  schema: 'public',
  retention: false,
  databaseUrl: settings.databaseUrl,
  client: prisma,
  jobs: chaosJobs,
  handlers: createChaosHandlers({
    client: prisma,
    random: createRandom(settings.seed),
    sweepBatch: settings.sweepBatch,
    sweepPauseMs: () => sweepPauseMs,
  }),
  log,
  drainTimeoutMs: settings.drainTimeoutMs,
  now: () => new Date(Date.now() + clockOffsetMs),
})
tell({ workerId: worker.id })
process.once('SIGTERM', () => void stop())
await worker.start()
tell({ isReady: true })

async function stop(): Promise<void> {
  await worker.stop()
  await prisma.$disconnect()
  process.exit(0)
}
