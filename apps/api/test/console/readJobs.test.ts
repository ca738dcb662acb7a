import { createDatabaseClient, Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ticksQuery } from '../../src/console/readJobs.ts'

let database: TestDatabase
let prisma: PrismaClient

beforeAll(async () => {
  database = await createTestDatabase()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'test',
    onPoolError: () => undefined,
  })
  // Jobs that are due every second, written in the order of time, and one that hardly ever was.
  await prisma.$executeRaw`
    insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId")
    select case when n = 1 then 'seldom' else 'often' || n % 2 end, timestamptz '2026-01-01' + n * interval '1 second', 'enqueued', 'w1'
    from generate_series(1, 50000) n`
  await prisma.$executeRaw`vacuum analyze "JobTick"`
})

afterAll(async () => {
  await prisma.$disconnect()
  await database.drop()
})

it('looks for the ticks of a job among its own', async () => {
  const rows = await prisma.$queryRaw<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>(
    Prisma.sql`explain (analyze, format json) ${ticksQuery(['often0', 'seldom', 'never'])}`,
  )
  const scans = listNodes(rows[0]?.['QUERY PLAN'][0].Plan).filter(
    (node) => node['Relation Name'] === 'JobTick',
  )
  expect(scans.map((node) => node['Index Name'])).toEqual(['JobTick_pkey'])
  expect(scans[0]?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

interface PlanNode {
  'Relation Name'?: string
  'Index Name'?: string
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

function listNodes(plan: PlanNode | undefined): PlanNode[] {
  return plan ? [plan, ...(plan.Plans ?? []).flatMap(listNodes)] : []
}
