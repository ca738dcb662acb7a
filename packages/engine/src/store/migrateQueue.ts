import type { HostLogger } from '../job/logger.ts'
import { withEngineJobs, type Job } from '../index.ts'
import { migrate } from './migrate.ts'
import { PUBLIC } from './schema.ts'

/** Of this repository: `migrate` in `public`, with the queues of its jobs. */
export async function migrateQueue(options: {
  databaseUrl: string
  jobs: readonly Job[]
  /** Default: warnings go to standard error. */
  log?: Pick<HostLogger, 'warn'> | undefined
}): Promise<void> {
  await migrate({ ...options, jobs: withEngineJobs(options.jobs), schema: PUBLIC })
}
