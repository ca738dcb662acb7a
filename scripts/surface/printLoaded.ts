// Prints as JSON what only running code has: the API's document and the SQL that makes the tables. It opens no connection.
import { createDatabaseClient } from '@roundsman/db'
import { createJobsClient } from '@roundsman/engine/client'
import { migrationSql } from '@roundsman/engine/internal'
import { jobs } from '@roundsman/jobs'
import { buildApp } from '../../apps/api/src/app.ts'

const url = 'postgresql://nobody@localhost/none'
const app = buildApp({
  prisma: createDatabaseClient({ url, applicationName: 'surface', onPoolError: () => undefined }),
  jobsClient: createJobsClient({ databaseUrl: url }),
  jobs,
  jwtSecret: 'x'.repeat(32),
})
await app.ready()
process.stdout.write(JSON.stringify({ api: app.swagger(), sql: migrationSql() }))
await app.close()
