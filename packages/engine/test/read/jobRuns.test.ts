// Not quick: reads among 200,000 runs.
import type { JobRun, Prisma } from '@roundsman/db'
import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  getJobRun,
  jobRunsQuery,
  listJobRuns,
  lookEndQuery,
  MAX_LOOKED_AT,
  type ListJobRunsOptions,
} from '../../src/read/jobRuns.ts'
import { openReader, readerIn, type PagePosition, type JobsReader } from '../../src/read/reader.ts'
import { createSchema } from '../../src/database/schema.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { explainPlan } from '../explainPlan.ts'

/** Columns that the list leaves out. */
const UNLISTED = { batchMarks: true }
const log = pino({ level: 'silent' })
const NOON = new Date('2026-11-24T12:00:00.000Z')

const runtime = useTestRuntime()

async function insert(startedAt: Date, count: number): Promise<void> {
  await runtime.prisma.jobRun.createMany({
    data: Array.from({ length: count }, () => ({
      id: randomUUID(),
      name: 'job',
      trigger: 'queue' as const,
      workerId: 'worker',
      startedAt,
    })),
  })
}

/** All runs as the list should return them, read by Prisma, whose model need not have each column. */
async function listed(orderBy: Prisma.JobRunOrderByWithRelationInput[]) {
  const runs = await runtime.prisma.jobRun.findMany({
    omit: UNLISTED,
    orderBy,
  })
  return runs.map((run) => ({ ...withIsoInstants(run), label: null, outcome: run.status }))
}

function withIsoInstants(run: Partial<JobRun> | object) {
  const entries = Object.entries(run).map(([key, value]) => [
    key,
    value instanceof Date ? value.toISOString() : value,
  ])
  return Object.fromEntries(entries) as object
}

async function* walk(options: ListJobRunsOptions, from: JobsReader = runtime.reader) {
  let after = options.after
  for (;;) {
    const page = await listJobRuns(from, { ...options, after })
    yield page.runs
    if (page.next === null) return
    after = page.next
    expect(after).toBeDefined()
  }
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}

describe('pages', () => {
  beforeEach(async () => {
    await runtime.prisma.jobRun.deleteMany()
  })

  it('lose and repeat nothing among runs that started in the same millisecond', async () => {
    // Random ids, in groups whose borders fall within pages.
    for (let i = 0; i < 6; i += 1) await insert(new Date(NOON.getTime() + (i % 3)), 7)
    const expected = await listed([{ startedAt: 'desc' }, { id: 'desc' }])
    for (const limit of [1, 2, 5, 6, 41, 42, 43]) {
      const pages = await collect(walk({ limit }))
      expect(pages.flat()).toMatchObject(expected)
      expect(pages).toHaveLength(Math.ceil(expected.length / limit))
    }
  })

  it('are the same when a transaction reads them, which sees what it has done', async () => {
    for (let i = 0; i < 6; i += 1) await insert(new Date(NOON.getTime() + (i % 3)), 7)
    const expected = await listed([{ startedAt: 'desc' }, { id: 'desc' }])
    await runtime.prisma.$transaction(async (tx) => {
      expect(
        (await collect(walk({ limit: 5 }, readerIn(tx, createSchema('public'))))).flat(),
      ).toMatchObject(expected)
      await tx.jobRun.deleteMany()
      expect(await listJobRuns(readerIn(tx, createSchema('public')), { limit: 5 })).toEqual({
        runs: [],
        next: null,
        isCut: false,
      })
    })
  })

  it('are the same when the planner sorts the table instead of reading an index', async () => {
    for (let i = 0; i < 6; i += 1) await insert(NOON, 7)
    const expected = await listed([{ id: 'desc' }])
    const options = '-c timezone=UTC -c enable_indexscan=off -c enable_bitmapscan=off'
    const databaseUrl = `${runtime.url}?options=${encodeURIComponent(options)}`
    const sorting = openReader({ schema: 'public', databaseUrl, log })
    try {
      const [setting] = await sorting.rows({ text: 'show enable_indexscan' })
      expect(setting).toEqual({ enable_indexscan: 'off' })
      expect((await collect(walk({ limit: 5 }, sorting))).flat()).toMatchObject(expected)
    } finally {
      await sorting.close()
    }
  })

  it('lose and repeat nothing while runs start', async () => {
    await insert(NOON, 20)
    const before = await runtime.prisma.jobRun.findMany({ select: { id: true } })
    const seen: string[] = []
    for await (const runs of walk({ limit: 3 })) {
      seen.push(...runs.map((run) => run.id))
      await insert(NOON, 1)
      await insert(new Date(NOON.getTime() + seen.length), 2)
    }
    expect(new Set(seen).size).toBe(seen.length)
    for (const { id } of before) expect(seen).toContain(id)
  })
})

describe('a single run', () => {
  it('is found with all that is known of it', async () => {
    const id = randomUUID()
    const run = await runtime.prisma.jobRun.create({
      data: {
        id,
        name: 'job',
        status: 'failed',
        errorCode: 'x',
        trigger: 'schedule',
        attempt: 2,
        scheduledFor: NOON,
        startedAt: new Date(NOON.getTime() + 10),
        endedAt: new Date(NOON.getTime() + 1_200),
        details: { cleaned: 3, error: { code: 'x', message: 'ü "quoted"' } },
        dryRun: true,
        actor: 'admin@example.com',
        reason: 'because',
        workId: randomUUID(),
        workerId: 'worker',
        progress: { done: 1, total: null },
        batchMarks: [{ at: 1, batches: 1 }],
        cancelRequestedAt: new Date(NOON.getTime() + 123),
        cancelRequestedBy: 'owner@example.com',
        approvedAt: new Date('0001-01-01T00:00:00.000Z'),
        approvedBy: 'owner@example.com',
        createdAt: new Date('9999-12-31T23:59:59.999Z'),
      },
    })
    const unsaid = { label: null, shown: null, dueAt: null, logs: null }
    const known = { ...run, ...unsaid, outcome: 'failed' }
    expect(await getJobRun(runtime.reader, id)).toMatchObject(withIsoInstants(known))
    await runtime.prisma.$transaction(async (tx) => {
      expect(await getJobRun(readerIn(tx, createSchema('public')), id)).toMatchObject(
        withIsoInstants(known),
      )
    })
    expect(await getJobRun(runtime.reader, randomUUID())).toBeNull()
  })
})

describe('among 200,000 runs', () => {
  const middle: ListJobRunsOptions['after'] = {
    at: new Date(NOON.getTime() - 100_000_000).toISOString(),
    id: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  }

  beforeAll(async () => {
    await runtime.prisma.jobRun.deleteMany()
    // In the order of time, one run a second, of 5 jobs of which one is rare and one is never scheduled. One in a thousand
    // failed, 10 are under way.
    await runtime.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "workId")
      select gen_random_uuid(),
        case when i % 20000 = 0 then 'rare' else 'job' || i % 4 end,
        (case when i <= 10 then 'running' when i % 1000 = 0 then 'failed' else 'success' end)::"JobRunStatus",
        (case when i % 4000 = 0 then 'cli' when i % 3 = 0 and i % 4 <> 3 then 'schedule' else 'queue' end)::"JobTrigger",
        'worker',
        ${NOON.toISOString()}::timestamptz - i * interval '1 second',
        case when i > 10 then ${NOON.toISOString()}::timestamptz end,
        case when i % 50000 = 0 then 'cancelled' when i % 1000 = 0 then 'broken' end,
        ('00000000-0000-0000-0000-' || lpad((i / 3)::text, 12, '0'))::uuid
      from generate_series(1, 200000) i
      order by i desc`
    // And a job that only its schedule starts.
    await runtime.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
      select gen_random_uuid(), 'scheduled', 'success', 'schedule', 'worker',
        ${NOON.toISOString()}::timestamptz - i * interval '10 seconds', ${NOON.toISOString()}::timestamptz
      from generate_series(1, 20000) i
      order by i desc`
    await runtime.prisma.$executeRawUnsafe(HOLD_RUNS_SQL)
    await runtime.prisma.$executeRaw`vacuum analyze "JobRun"`
  })

  const day = 86_400_000
  const cases: Record<string, Omit<ListJobRunsOptions, 'limit'>> = {
    'no filter': {},
    'a name': { name: 'job1' },
    'a rare name': { name: 'rare' },
    'a name that never was': { name: 'nothing' },
    failures: { status: 'failed' },
    'failures of a name': { status: 'failed', name: 'job0' },
    successes: { status: 'success' },
    'successes of a name': { status: 'success', name: 'job1' },
    'a trigger': { trigger: 'queue' },
    'a trigger and a name': { trigger: 'schedule', name: 'job1' },
    'a trigger that a name never had': { trigger: 'cli', name: 'job1' },
    'a schedule that a name never had': { trigger: 'schedule', name: 'queued' },
    'a rare trigger': { trigger: 'cli' },
    'a trigger that never was': { trigger: 'manual' },
    'failures of a rare name': { status: 'failed', name: 'rare' },
    'failures of a trigger': { status: 'failed', trigger: 'cli' },
    'failures of a trigger that never failed': { status: 'failed', trigger: 'manual' },
    'a trigger that a job never has': { trigger: 'schedule', name: 'job3' },
    'successes by a trigger that a job never has': {
      status: 'success',
      trigger: 'schedule',
      name: 'job3',
    },
    'failures by a trigger': { status: 'failed', trigger: 'schedule' },
    'attempts at a piece of work': { workId: '00000000-0000-0000-0000-000000001000' },
    'failed attempts at a piece of work of a name': {
      workId: '00000000-0000-0000-0000-000000001000',
      status: 'failed',
      name: 'job0',
    },
    'a frequent code': { errorCode: 'broken' },
    'a rare code': { errorCode: 'cancelled' },
    'a code that never was': { errorCode: 'nothing' },
    'a code of a name': { errorCode: 'broken', name: 'job0' },
    'a code that a name never had': { errorCode: 'cancelled', name: 'job1' },
    'a code by a trigger that never had it': { errorCode: 'cancelled', trigger: 'schedule' },
    'a code on a day': { errorCode: 'broken', from: new Date(NOON.getTime() - 86_400_000) },
    'failed by itself': { outcome: 'failed' },
    'failed by itself, of a name': { outcome: 'failed', name: 'job0' },
    cancelled: { outcome: 'cancelled' },
    'cancelled, of a name': { outcome: 'cancelled', name: 'job0' },
    'expired, which none has': { outcome: 'expired' },
    succeeded: { outcome: 'success' },
    'a day': { from: new Date(NOON.getTime() - day), to: NOON },
    'a day long ago': {
      from: new Date(NOON.getTime() - 2 * day),
      to: new Date(NOON.getTime() - 1.9 * day),
    },
    'an empty time': {
      from: new Date(NOON.getTime() - 9 * day),
      to: new Date(NOON.getTime() - 8 * day),
    },
    'failures of a name on a day': {
      status: 'failed',
      name: 'job0',
      from: new Date(NOON.getTime() - day),
    },
  }
  for (const [name, options] of Object.entries(cases)) {
    for (const after of [undefined, middle]) {
      it(`${name}${after ? ', from the middle on' : ''}: reads little, and by an index`, async () => {
        const { nodes, rowsRead } = await explain({ ...options, limit: 50, after })
        // PostgreSQL may sort a handful of rows, but must not read a table for them.
        expect(nodes).not.toContain('Seq Scan')
        expect(rowsRead).toBeLessThan(1_000)
      })
    }
  }

  it('runs under way: reads only those', async () => {
    const { nodes, rowsRead } = await explain({ status: 'running', limit: 50 })
    expect(nodes).not.toContain('Seq Scan')
    // Each is read in the index and in the table, and once more to see that its claim is not all that has it.
    expect(rowsRead).toBeLessThanOrEqual(4 * 10)
  })

  it.each<[what: string, options: Omit<ListJobRunsOptions, 'limit'>]>([
    ['a worker that there is not', { worker: 'nobody' }],
    ['a worker that there is not, of a name', { worker: 'nobody', name: 'job1' }],
    ['runs that took years', { minDurationMs: 1e11 }],
    ['runs that took nothing', { maxDurationMs: 0, trigger: 'queue' }],
    ['a label that no run has', { label: 'order 4711' }],
    ['a worker that there is not, of what failed', { worker: 'nobody', status: 'failed' }],
  ])(
    '%s: looks at so many at a time, by an index, and comes to the end',
    async (_what, options) => {
      let after: ListJobRunsOptions['after']
      let looks = 0
      for (;;) {
        const where = { ...options, limit: 50, after }
        const { nodes, rowsRead } = await explain(where)
        expect(nodes).not.toContain('Seq Scan')
        // Each is read in an index and in the table.
        expect(rowsRead).toBeLessThanOrEqual(2 * MAX_LOOKED_AT + 1_000)
        const page = await listJobRuns(runtime.reader, where)
        looks += 1
        expect(page).toMatchObject({ runs: [], isCut: page.next !== null })
        if (page.next === null) break
        after = page.next
      }
      expect(looks).toBeLessThanOrEqual(Math.ceil(220_000 / MAX_LOOKED_AT))
    },
  )

  it('a look goes on where the one before has ended, and neither loses nor repeats a run', async () => {
    // Two of 1,000, which different looks find.
    const [rare] = await runtime.prisma.$queryRaw<{ ids: string[] }[]>`
      with marked as (
        update "JobRun" set "workerId" = 'marked ' || "name" where "name" = 'rare' returning "id", "startedAt"
      ) select array_agg("id"::text order by "startedAt" desc) as ids from marked`
    const pages = await collect(walk({ limit: 3, worker: 'marked' }))
    expect(pages.flat().map(({ id }) => id)).toEqual(rare?.ids)
    await runtime.prisma
      .$executeRaw`update "JobRun" set "workerId" = 'worker' where "name" = 'rare'`
  })

  it('work of a name that only its schedule starts: reads no run', async () => {
    for (const after of [undefined, middle]) {
      const options = { name: 'scheduled', trigger: 'queue', limit: 50, after } as const
      const { nodes, indexes, rowsRead } = await explain(options)
      expect(nodes).not.toContain('Seq Scan')
      expect(indexes).toContain('JobRun_name_desc_startedAt_id_trigger_idx')
      expect(rowsRead).toBe(0)
    }
  })

  /** The plan's nodes and indexes, and how many rows of a table or an index it reads. */
  async function explain(options: ListJobRunsOptions) {
    const end = lookEndQuery(options)
    const [lookEnd] = end ? await runtime.reader.rows<PagePosition>(end) : []
    const { text, values = [] } = jobRunsQuery(options, lookEnd ?? null)
    const nodes: string[] = []
    const indexes: string[] = []
    let rowsRead = 0
    for (const node of await explainPlan(runtime, text, values)) {
      // Workers hold little, which is read whole.
      if (['JobClaim', 'JobCancel'].includes(node['Relation Name'] ?? '')) continue
      nodes.push(node['Node Type'])
      if (node['Index Name']) indexes.push(node['Index Name'])
      if (node['Node Type'].endsWith('Scan')) {
        rowsRead +=
          node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0))
      }
    }
    return { nodes, indexes, rowsRead }
  }
})
