import { Prisma } from '@roundsman/db'
import { beforeAll, expect, it } from 'vitest'
import { countEqualFailures } from '../../src/read/countEqualFailures.ts'
import {
  findOldestStart,
  measureDuration,
  NEUTRAL_CODES,
  tallyRunsByHour,
} from '../../src/read/countRuns.ts'
import { readFailures } from '../../src/judge/findFailing.ts'
import { findFirstRuns } from '../../src/judge/findFirstRun.ts'
import { listJobRuns } from '../../src/read/jobRuns.ts'
import { listJobTicks, listRecentTicks } from '../../src/read/jobTicks.ts'
import { listVersionChanges } from '../../src/read/listWorkers.ts'
import type { JobsReader, Statement } from '../../src/read/reader.ts'
import { listRecentRuns } from '../../src/read/recentRuns.ts'
import { listRunCounts } from '../../src/read/listRunCounts.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { explainPlan, type PlanNode } from '../explainPlan.ts'

const runtime = useTestRuntime()

beforeAll(async () => {
  // One that has not been due for a day, then jobs that are due every second, written in the order of time, and one that
  // hardly ever was due.
  await runtime.prisma.$executeRaw`
    insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId")
    select 'former', timestamptz '2025-12-31' + n * interval '1 second', 'enqueued'::"TickOutcome", 'w1' from generate_series(1, 30000) n
    union all
    select case when n = 1 then 'seldom' else 'often' || n % 2 end, timestamptz '2026-01-01' + n * interval '1 second', 'enqueued', 'w1'
    from generate_series(1, 50000) n`
  await runtime.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "errorCode", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), "name", case when code is null then 'success' else 'failed' end::"JobRunStatus", code, 'schedule',
           "workerId", "scheduledFor", "scheduledFor"
    from "JobTick" cross join lateral (
      select case when "name" in ('often1', 'former') and extract(second from "scheduledFor") < 15 then 'bear' end as code
    ) failure
    order by "scheduledFor"`
  await runtime.prisma.$executeRaw`vacuum analyze "JobTick", "JobRun"`
})

const NAMES = ['often0', 'seldom', 'never']

it('looks for the ticks of a job among its own', async () => {
  const [scan, ...others] = await scansOf((of) => listRecentTicks(of, NAMES, 60), 'JobTick')
  expect(others).toEqual([])
  expect(scan?.['Index Name']).toBe('JobTick_pkey')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

it.each([1, 30])('looks for the last %i runs of a job among its own', async (limit) => {
  const [scan, ...others] = await scansOf((of) => listRecentRuns(of, NAMES, { limit }), 'JobRun')
  // The part that looks up runs which are not written: there are none.
  expect(others.filter((other) => other['Actual Loops'] > 0)).toEqual([])
  expect(scan?.['Index Name']).toBe('JobRun_name_desc_startedAt_id_trigger_idx')
  expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
})

it('reads one run of each job, however many there are', async () => {
  const [scan] = await scansOf((of) => listRecentRuns(of, NAMES, { limit: 1 }), 'JobRun')
  // The figures are means over the loops, one for each job.
  expect(scan?.['Actual Loops']).toBe(NAMES.length)
  expect(scan?.['Actual Rows']).toBeLessThanOrEqual(1)
})

it('leaves the pages of runs and of their index by time full, as runs come in the order of time', async () => {
  const [size] = await runtime.prisma.$queryRaw<{ entry: number; row: number }[]>`
    select pg_relation_size('"JobRun_startedAt_id_asc_idx"')::float8 / count(*) as "entry",
           pg_relation_size('"JobRun"')::float8 / (count(*) * avg(pg_column_size("JobRun") + 4)) as "row"
    from "JobRun"`
  // An entry is 36 bytes. Descending, each would take 72, and 40 with the room that PostgreSQL leaves by default.
  expect(size?.entry).toBeLessThan(39)
  expect(size?.row).toBeLessThan(1.1)
})

/** 48 slots of the time in which all of these ran. */
const NIL = '00000000-0000-0000-0000-000000000000'

/** Whatever is asked about one job. */
const ABOUT_FORMER: Record<string, (of: JobsReader) => Promise<unknown>> = {
  'its list': (of) => listJobRuns(of, { name: 'former', limit: 50 }),
  'its list, from the middle on': (of) =>
    listJobRuns(of, { name: 'former', limit: 50, after: { at: '2025-12-31T04:00:00Z', id: NIL } }),
  'its successes': (of) => listJobRuns(of, { name: 'former', status: 'success', limit: 50 }),
  'its failures': (of) => listJobRuns(of, { name: 'former', status: 'failed', limit: 50 }),
  'what failed by itself': (of) =>
    listJobRuns(of, { name: 'former', outcome: 'failed', limit: 50 }),
  'cancelled ones': (of) => listJobRuns(of, { name: 'former', outcome: 'cancelled', limit: 50 }),
  'a code': (of) => listJobRuns(of, { name: 'former', errorCode: 'bear', limit: 50 }),
  'how long it took': (of) => measureDuration(of, 'former'),
  'its oldest run': (of) => findOldestStart(of, 'former'),
  'its hours': (of) =>
    tallyRunsByHour(of, {
      name: 'former',
      from: new Date('2025-01-01T00:00:00Z'),
      maxRuns: 2_000,
    }),
  'what it counted': (of) => listRunCounts(of, 'former', 60),
  'its ticks': (of) => listJobTicks(of, { name: 'former', limit: 50 }),
  'its last runs': (of) => listRecentRuns(of, ['former'], { limit: 60, areEnded: true }),
  'how often it failed so': (of) =>
    countEqualFailures(of, {
      id: '00000000-0000-0000-0000-000000000000',
      name: 'former',
      startedAt: '2025-12-31T01:00:00Z',
    }),
  'how often it failed': (of) =>
    readFailures(of, [{ name: 'former', timeoutMs: 0 }], new Date('2025-12-31T08:00:00Z')),
  'since when it fails': (of) => findFirstRuns(of, [{ name: 'former', code: 'bear' }]),
  'where its version changed': (of) =>
    listVersionChanges(of, { name: 'former', from: new Date('2025-12-31T08:00:00Z') }),
}

it.each(Object.entries(ABOUT_FORMER))(
  'goes through no runs of others, for a job that has none of late: %s',
  async (_what, read) => {
    const statements: Statement[] = []
    await read({
      rows(statement) {
        statements.push(statement)
        return runtime.reader.rows(statement)
      },
    })
    for (const statement of statements) {
      const scans = [
        ...(await scansOfStatement(statement, 'JobRun')),
        ...(await scansOfStatement(statement, 'JobTick')),
      ].filter((scan) => scan['Actual Loops'] > 0)
      expect(scans).not.toEqual([])
      for (const scan of scans) {
        expect(scan['Node Type']).not.toBe('Seq Scan')
        expect(scan['Index Name'] ?? '').not.toMatch(/^JobRun_startedAt_|^JobTick_scheduledFor_/)
        expect(scan['Rows Removed by Filter'] ?? 0).toBeLessThan(1_000)
      }
    }
  },
)

it('tells what runs counted, whatever their details hold', async () => {
  const at = (second: number) => new Date(Date.parse('2026-02-01T00:00:00Z') + second * 1_000)
  const foreign: (Prisma.InputJsonValue | typeof Prisma.JsonNull)[] = [
    { imported: 609, file: 'feed.xml', skipped: 0, nested: { deep: 1 }, none: null, stillDue: 111 },
    [1, 2],
    'a text',
    {},
    Prisma.JsonNull,
    { imported: 'many' },
    { big: 1, much: 'x'.repeat(100_000) },
    { ['k'.repeat(300)]: 1.5, stillDue: 'over 10,000' },
    Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`c${index}`, index])),
  ]
  for (const [index, details] of foreign.entries()) {
    await runtime.prisma.jobRun.create({ data: { ...runOf('counting', at(index)), details } })
  }
  const huge = runOf('counting', at(foreign.length))
  await runtime.prisma.jobRun.create({ data: huge })
  await runtime.prisma
    .$executeRaw`update "JobRun" set "details" = '{"n": 1e300, "imported": 12}' where "startedAt" = ${huge.startedAt}`
  const counted = await listRunCounts(runtime.reader, 'counting', 60)
  expect(counted.slice(0, 2).map(({ counts }) => counts)).toEqual([
    { imported: 609, skipped: 0, stillDue: 111 },
    { ['k'.repeat(100)]: 1.5 },
  ])
  expect(Object.keys(counted[2]?.counts ?? {})).toHaveLength(20)
  expect(counted[3]?.counts).toEqual({ imported: 12 })
  expect(counted.map(({ stillDue }) => stillDue)).toEqual(['111', 'over 10,000', null, null])
})

function runOf(name: string, startedAt: Date, more: object = {}) {
  const endedAt = new Date(startedAt.getTime() + 1_000)
  return {
    name,
    status: 'success' as const,
    trigger: 'queue' as const,
    workerId: 'w1',
    startedAt,
    endedAt,
    ...more,
  }
}

it('counts no more than the latest runs of a job that fails, and of what says how it does', async () => {
  const insert = (name: string, codes: (string | null)[]) => runtime.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "status", "errorCode", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), ${name}, case when code is null then 'success' else 'failed' end::"JobRunStatus", code, 'queue',
           'w9', timestamptz '2026-02-01' + nth * interval '0.5 seconds', timestamptz '2026-02-01' + nth * interval '1 second'
    from unnest(${codes}::text[]) with ordinality run(code, nth)`
  await insert('mixed', [null, 'broken', null, ...NEUTRAL_CODES, 'worker_lost', ...NEUTRAL_CODES])
  await insert('stopped', [null, ...NEUTRAL_CODES, 'worker_lost'])
  await insert(
    'flood',
    Array.from({ length: 6_000 }, (_, nth) => (nth % 4 === 0 ? 'bear' : null)),
  )
  const now = new Date('2026-02-01T00:59:00Z')
  const jobs = ['mixed', 'stopped', 'flood'].map((name) => ({ name, timeoutMs: 60_000 }))
  const found = await readFailures(runtime.reader, jobs, now)
  expect(found).toMatchObject([
    {
      name: 'flood',
      runs: 5_000,
      failed: 1_250,
      isCut: true,
      code: 'bear',
      withCode: 1_250,
      succeededSince: 3,
    },
    { name: 'mixed', runs: 3, failed: 1, code: 'broken', withCode: 1, isCut: false },
  ])
})

/** The scans of the last statement that it sends, where each finds many rows. */
async function scansOf(
  read: (of: JobsReader) => Promise<unknown>,
  relation: string,
): Promise<PlanNode[]> {
  let last: Statement = { text: '' }
  await read({
    rows: async <Row extends object>(statement: Statement) => {
      last = statement
      return Array.from({ length: 1_000 }, () => ({}) as Row)
    },
  })
  return await scansOfStatement(last, relation)
}

async function scansOfStatement(
  { text, values = [] }: Statement,
  relation: string,
): Promise<PlanNode[]> {
  const nodes = await explainPlan(runtime, text, values)
  return nodes.filter((node) => node['Relation Name'] === relation)
}
