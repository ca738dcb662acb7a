// A worker of one version, which others kill.
import type { PrismaClient } from '@roundsman/db'
import type { HandlersFor, Job, TransactionOf } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { createLogger } from '@roundsman/node-app'
import { followDriver } from '../followDriver.ts'
import { SCHEDULES } from './scheduleJobs.ts'
import { openPrisma } from '../product.ts'

export interface ScheduleSettings {
  databaseUrl: string
  version: number
}

const { settings, runWorker } = followDriver<ScheduleSettings>()
const { databaseUrl, version } = settings
const client = openPrisma(databaseUrl, 'hostile schedules', { poolSize: 2 })
const jobs = SCHEDULES[version] ?? []
await runWorker(
  createWorker({
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
  }),
)
