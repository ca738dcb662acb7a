import { openForTests } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { expect, it } from 'vitest'
import { readDurations } from '../../src/simulate/readDurations.ts'

const database = openForTests(openTestDatabase)

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
  await database.prisma.jobRun.createMany({
    data: [
      ...Array.from({ length: 101 }, (_, nth) => run(nth)),
      run(10_000, { status: 'failed', errorCode: 'broken' }),
      run(10_000, { dryRun: true }),
      run(10_000, { name: 'other' }),
    ],
  })

  expect(await readDurations(database.reader, ['sweep', 'never'])).toEqual([
    { name: 'sweep', runs: 101, p95Ms: 95_000 },
  ])
})
