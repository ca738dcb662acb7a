import { createDatabaseClient, type DatabaseClient } from '@roundsman/db'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { recentTicksQuery } from '../../src/read/jobTicks.ts'
import type { Statement } from '../../src/read/reader.ts'
import { recentRunsQuery } from '../../src/read/recentRuns.ts'

let database: TestDatabase
let prisma: DatabaseClient

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
  const [scan, ...others] = await scansOf(recentTicksQuery(NAMES, 60), 'JobTick')
  expect(others).toEqual([])
  expect(scan?.['Index Name']).toBe('JobTick_pkey')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

it.each([1, 30])('looks for the last %i runs of a job among its own', async (limit) => {
  const [scan, ...others] = await scansOf(recentRunsQuery(NAMES, { limit }), 'JobRun')
  // Where runs that are not written would be looked up: there are none.
  expect(others.filter((other) => other['Actual Loops'] > 0)).toEqual([])
  expect(scan?.['Index Name']).toBe('JobRun_name_startedAt_id_trigger_idx')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

it('reads one run of each job, however many there are', async () => {
  const [scan] = await scansOf(recentRunsQuery(NAMES, { limit: 1 }), 'JobRun')
  // Rows are means over the loops, one a job.
  expect(scan?.['Actual Loops']).toBe(NAMES.length)
  expect(scan?.['Actual Rows']).toBeLessThanOrEqual(1)
})

async function scansOf({ text, values = [] }: Statement, relation: string): Promise<PlanNode[]> {
  const rows = await prisma.readRows<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>({
    text: `explain (analyze, format json) ${text}`,
    values,
  })
  return listNodes(rows[0]?.['QUERY PLAN'][0].Plan).filter(
    (node) => node['Relation Name'] === relation,
  )
}

interface PlanNode {
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

function listNodes(plan: PlanNode | undefined): PlanNode[] {
  return plan ? [plan, ...(plan.Plans ?? []).flatMap(listNodes)] : []
}
