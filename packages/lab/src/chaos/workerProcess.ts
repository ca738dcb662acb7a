// One of the suite's workers. Standard input tells it how to behave; its end says that the driver is gone.
import { createInterface } from 'node:readline'
import { createDatabaseClient } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import { createWorker } from '@roundsman/engine/worker'
import { chaosJobs, createChaosHandlers } from './chaosJobs.ts'
import { createRandom } from './createRandom.ts'
import type { WorkerCommand, WorkerReport, WorkerSettings } from './startWorker.ts'

const settings = JSON.parse(process.argv[2] ?? '{}') as WorkerSettings
let { sweepPauseMs } = settings
let clockOffsetMs = 0

// Ctrl-C signals the whole process group. The driver ends the others itself.
process.on('SIGINT', () => undefined)
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line) as WorkerCommand
    clockOffsetMs = command.clockOffsetMs ?? clockOffsetMs
    sweepPauseMs = command.sweepPauseMs ?? sweepPauseMs
  })
  .on('close', () => process.exit(1))

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
report({ workerId: worker.id })
process.once('SIGTERM', () => void stop())
await worker.start()
report({ isReady: true })

async function stop(): Promise<void> {
  await worker.stop()
  await prisma.$disconnect()
  process.exit(0)
}

function report(message: WorkerReport): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
