import { migrate } from '@roundsman/db'
import { createLogger } from '@roundsman/node-app'
import { openPool } from '../openPool.ts'
import { migrateQueue } from '@roundsman/engine/worker'
import { drawRunnableJobs } from './drawDefinitions.ts'
import { hostileJobs } from './hostileJobs.ts'

/** Migrates the given database for these jobs, whether it is empty or not. */
export async function prepareDatabase(url: string, seed: number): Promise<void> {
  const log = createLogger({ app: 'hostile', level: 'silent' })
  await migrate(url)
  await migrateQueue({ databaseUrl: url, jobs: [...hostileJobs, ...drawRunnableJobs(seed)], log })
  const database = openPool({ url, applicationName: 'hostile', poolSize: 1 })
  try {
    await database.query(`
      create table "HostileEffect" (
        "queueJobId" uuid not null, "step" int not null, "runId" uuid not null,
        primary key ("queueJobId", "step")
      )`)
  } finally {
    await database.close()
  }
}
