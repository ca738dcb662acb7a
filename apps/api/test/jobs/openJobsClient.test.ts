import { createDatabaseClient, type DatabaseClient } from '@roundsman/db'
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openJobsClient } from '../../src/jobs/openJobsClient.ts'

let database: TestDatabase
let prisma: DatabaseClient
let lines: string[]

beforeEach(async () => {
  database = await createTestDatabase()
  const { url } = database
  prisma = createDatabaseClient({ url, applicationName: 'tests', onPoolError: () => undefined })
  lines = []
})

afterEach(async () => {
  await prisma.$disconnect()
  await database.drop()
})

/** Opens a client as on the embedded database, which its worker migrates. */
function open(stop: AbortSignal) {
  return openJobsClient({
    env: { DATA_DIR: '/srv/data of ours' },
    database: { url: database.url, isEmbedded: true, release: async () => undefined },
    logger: pino({}, { write: (line) => void lines.push(line) }),
    stop,
  })
}

it('waits for tables that are missing, until the worker has made them', async () => {
  await prisma.$executeRawUnsafe('alter table "JobMigration" rename to "Elsewhere"')
  await prisma.$executeRawUnsafe('alter table "JobRun" rename to "OtherRun"')
  const opening = open(new AbortController().signal)
  await waitFor(() => lines.some((line) => line.includes('waiting for the database')))
  await prisma.$executeRawUnsafe('alter table "Elsewhere" rename to "JobMigration"')
  await prisma.$executeRawUnsafe('alter table "OtherRun" rename to "JobRun"')
  const opened = await opening
  expect(opened).not.toBeNull()
  await opened?.stop()
})

it('waits for no tables of another baseline, which the worker refuses too', async () => {
  await prisma.$executeRawUnsafe(`update "JobMigration" set "name" = 'claims'`)
  await expect(open(new AbortController().signal)).rejects.toThrow(
    /^DATA_DIR: .*another baseline, claims, .*, run mv '\/srv\/data of ours' '\/srv\/data of ours\.before'$/,
  )
})

it('waits for no tables of its own version: those of a newer one are refused', async () => {
  await prisma.$executeRawUnsafe(
    `insert into "JobMigration" ("name", "breaks") values ('narrower', true)`,
  )
  await expect(open(new AbortController().signal)).rejects.toThrow(
    /^DATABASE_URL: .*newer version.*narrower; deploy its version$/,
  )
})
