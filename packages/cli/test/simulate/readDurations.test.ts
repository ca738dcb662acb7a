import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { openReader } from '@roundsman/engine/client'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readDurations } from '../../src/simulate/readDurations.ts'

let database: TestDatabase
let prisma: PrismaClient
let reader: ReturnType<typeof openReader>
beforeAll(async () => {
  database = await createTestDatabase()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'tests',
    onPoolError: () => undefined,
  })
  reader = openReader({
    schema: 'public',
    databaseUrl: database.url,
    log: pino({ level: 'silent' }),
  })
})
afterAll(async () => {
  await reader.close()
  await prisma.$disconnect()
  await database.drop()
})

it('takes 95 % of the last runs that succeeded, dry runs and others left out', async () => {
  const run = (seconds: number, more: object = {}) => ({
    name: 'sweep',
    trigger: 'schedule' as const,
    workerId: 'w',
    status: 'success' as const,
    startedAt: new Date('2026-01-01T00:00:00Z'),
    endedAt: new Date(Date.UTC(2026, 0, 1) + seconds * 1_000),
    ...more,
  })
  await prisma.jobRun.createMany({
    data: [
      ...Array.from({ length: 101 }, (_, nth) => run(nth)),
      run(10_000, { status: 'failed', errorCode: 'broken' }),
      run(10_000, { dryRun: true }),
      run(10_000, { name: 'other' }),
    ],
  })

  expect(await readDurations(reader, ['sweep', 'never'])).toEqual([
    { name: 'sweep', runs: 101, p95Ms: 95_000 },
  ])
})
