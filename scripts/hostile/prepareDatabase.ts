import { migrate } from '../../packages/db/src/index.ts'
import { createLogger } from '../../packages/node-app/src/index.ts'
import { openDatabase } from '../../packages/engine/src/store/database.ts'
import { migrateQueue } from '../../packages/engine/src/worker.ts'
import { drawRunnableJobs } from './drawDefinitions.ts'
import { hostileJobs } from './hostileJobs.ts'

/** Migrates the given database for these jobs, whether it is empty or not. */
export async function prepareDatabase(url: string, seed: number): Promise<void> {
  const log = createLogger({ app: 'hostile', level: 'silent' })
  await migrate(url)
  await migrateQueue({ databaseUrl: url, jobs: [...hostileJobs, ...drawRunnableJobs(seed)], log })
  const database = openDatabase({ url, applicationName: 'hostile', poolSize: 1, log })
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
