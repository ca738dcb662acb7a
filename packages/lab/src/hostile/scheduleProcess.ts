// A worker of one version, which others kill.
import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import type { HandlersFor, Job, TransactionOf } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { createLogger } from '@roundsman/node-app'
import { SCHEDULES } from './scheduleJobs.ts'

export interface ScheduleSettings {
  databaseUrl: string
  version: number
}

const { databaseUrl, version } = JSON.parse(process.argv[2] ?? '{}') as ScheduleSettings
process.stdin.on('end', () => process.exit(1)).resume()
const client = createDatabaseClient({
  url: databaseUrl,
  applicationName: 'hostile schedules',
  poolSize: 2,
  onPoolError: () => undefined,
})
const jobs = SCHEDULES[version] ?? []
const worker = createWorker({
  schema: 'public',
  retention: false,
  databaseUrl,
  client,
  jobs,
  handlers: Object.fromEntries(
    jobs.map(({ name }) => [name, async () => undefined]),
  ) as HandlersFor<readonly Job[], TransactionOf<PrismaClient>>,
  log: createLogger({ app: 'schedules', level: 'warn' }),
  drainTimeoutMs: 2_000,
})
process.once('SIGTERM', () => void worker.stop().then(() => process.exit(0)))
await worker.start()
process.stdout.write('started\n')
