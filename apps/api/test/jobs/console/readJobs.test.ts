import { createDatabaseClient, Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runsQuery, ticksQuery } from '../../../src/jobs/console/readJobs.ts'

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
  await prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), "name", 'success', 'schedule', "workerId", "scheduledFor", "scheduledFor" from "JobTick"
    order by "scheduledFor"`
  await prisma.$executeRaw`vacuum analyze "JobTick", "JobRun"`
})

afterAll(async () => {
  await prisma.$disconnect()
  await database.drop()
})

const NAMES = ['often0', 'seldom', 'never']

it('looks for the ticks of a job among its own', async () => {
  const [scan, ...others] = await scansOf(ticksQuery(NAMES), 'JobTick')
  expect(others).toEqual([])
  expect(scan?.['Index Name']).toBe('JobTick_pkey')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

it.each([1, 30])('looks for the last %i runs of a job among its own', async (limit) => {
  const [scan, ...others] = await scansOf(runsQuery(NAMES, Prisma.sql`true`, limit), 'JobRun')
  expect(others).toEqual([])
  expect(scan?.['Index Name']).toBe('JobRun_name_startedAt_id_trigger_idx')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

async function scansOf(query: Prisma.Sql, relation: string): Promise<PlanNode[]> {
  const rows = await prisma.$queryRaw<{ 'QUERY PLAN': [{ Plan: PlanNode }] }[]>(
    Prisma.sql`explain (analyze, format json) ${query}`,
  )
  return listNodes(rows[0]?.['QUERY PLAN'][0].Plan).filter(
    (node) => node['Relation Name'] === relation,
  )
}

interface PlanNode {
  'Relation Name'?: string
  'Index Name'?: string
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

function listNodes(plan: PlanNode | undefined): PlanNode[] {
  return plan ? [plan, ...(plan.Plans ?? []).flatMap(listNodes)] : []
}
