// Not quick: asks with hundreds of drawn filters.
import { Prisma } from '@roundsman/db'
import {
  emptyQueue,
  emptyTables,
  expectInvalid,
  HOLD_RUNS_SQL,
  listQueue,
  openForTests,
  UNKNOWN_ID,
} from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanupI18nCache, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

const NOON = new Date('2026-11-24T12:00:00.000Z')

function list(query: string) {
  return api.as('admin', { method: 'GET', url: `/api/jobs/runs?${query}` })
}

async function listIds(query: string): Promise<string[]> {
  const response = await list(query)
  expect({ status: response.statusCode, body: response.body }).toMatchObject({ status: 200 })
  return response.json().runs.map((run: { id: string }) => run.id)
}

function makeRun(run: Partial<Prisma.JobRunCreateManyInput>): Prisma.JobRunCreateManyInput {
  return {
    name: 'cleanupPreviewSessions',
    status: 'success',
    trigger: 'schedule',
    workerId: 'worker-1',
    startedAt: NOON,
    endedAt: run.status === 'running' ? null : new Date(NOON.getTime() + 250),
    errorCode: run.status === 'failed' ? errorCodeOf(run.details) : null,
    ...run,
  }
}

function errorCodeOf(details: Prisma.JobRunCreateManyInput['details']): string {
  return (details as { error?: { code: string } } | undefined)?.error?.code ?? 'unknown'
}

async function seed(...runs: Partial<Prisma.JobRunCreateManyInput>[]): Promise<string[]> {
  await emptyTables(api.prisma, '"JobRun", "JobClaim", "JobCancel"')
  const created = await api.prisma.jobRun.createManyAndReturn({
    data: runs.map(makeRun),
    select: { id: true },
  })
  await api.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
  return created.map((run) => run.id)
}

it('shows everything that was recorded of a run', async () => {
  const [id] = await seed({
    attempt: 2,
    scheduledFor: new Date('2026-11-24T11:45:00.000Z'),
    details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 },
    dryRun: true,
    actor: 'owner@example.com',
    reason: 'by hand',
    workId: '01a20e26-367c-766a-a085-72e882269712',
    progress: { done: 3, total: null },
    cancelRequestedAt: new Date('2026-11-24T12:00:00.100Z'),
    cancelRequestedBy: 'admin@example.com',
    approvedAt: new Date('2026-11-24T12:00:01.000Z'),
    approvedBy: 'owner@example.com',
    createdAt: NOON,
  })
  const response = await list('')
  expect(response.json()).toEqual({
    runs: [
      {
        id,
        name: 'cleanupPreviewSessions',
        label: null,
        status: 'success',
        outcome: 'success',
        errorCode: null,
        trigger: 'schedule',
        attempt: 2,
        scheduledFor: '2026-11-24T11:45:00.000Z',
        startedAt: '2026-11-24T12:00:00.000Z',
        endedAt: '2026-11-24T12:00:00.250Z',
        durationMs: 250,
        details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 },
        dryRun: true,
        actor: 'owner@example.com',
        reason: 'by hand',
        workId: '01a20e26-367c-766a-a085-72e882269712',
        workerId: 'worker-1',
        version: null,
        progress: { done: 3, total: null },
        cancelRequestedAt: '2026-11-24T12:00:00.100Z',
        cancelRequestedBy: 'admin@example.com',
        approvedAt: '2026-11-24T12:00:01.000Z',
        approvedBy: 'owner@example.com',
        createdAt: '2026-11-24T12:00:00.000Z',
      },
    ],
    nextCursor: null,
  })
  expect(response.headers['cache-control']).toBe('no-store')
})

it('shows a run under way as one without an end', async () => {
  await seed({ status: 'running' })
  expect((await list('')).json().runs).toEqual([
    expect.objectContaining({
      status: 'running',
      endedAt: null,
      durationMs: null,
      scheduledFor: null,
      details: null,
    }),
  ])
})

it('shows 50 at a time unless told otherwise, from 1 to 200', async () => {
  await seed(...Array.from({ length: 201 }, () => ({})))
  expect(await listIds('')).toHaveLength(50)
  expect(await listIds('limit=1')).toHaveLength(1)
  expect(await listIds('limit=200')).toHaveLength(200)
  expect(await listIds('limit=007')).toHaveLength(7)
})

it('filters by each field, and by several together', async () => {
  const at = (minutes: number) => new Date(NOON.getTime() + minutes * 60_000)
  const [a, b, c, d] = await seed(
    { name: 'one', status: 'running', trigger: 'schedule', startedAt: at(0) },
    {
      name: 'two',
      status: 'success',
      trigger: 'queue',
      startedAt: at(1),
      endedAt: at(2),
      workId: WORK,
    },
    { name: 'one', status: 'failed', trigger: 'manual', startedAt: at(2), endedAt: at(3) },
    { name: 'two', status: 'failed', trigger: 'cli', startedAt: at(3), endedAt: at(4) },
  )
  const cases: [query: string, expected: (string | undefined)[]][] = [
    ['name=one', [c, a]],
    ['name=One', []],
    ['name=on', []],
    ['status=running', [a]],
    ['status=success', [b]],
    ['status=failed', [d, c]],
    ['trigger=schedule', [a]],
    ['trigger=queue', [b]],
    ['trigger=manual', [c]],
    ['trigger=cli', [d]],
    ['from=2026-11-24T12:02:00Z', [d, c]],
    ['to=2026-11-24T12:02:00Z', [b, a]],
    ['from=2026-11-24T12:01:00Z&to=2026-11-24T12:02:00Z', [b]],
    ['from=2026-11-24T14:01:00%2B02:00', [d, c, b]],
    ['from=2026-11-24T12:02:00.001Z', [d]],
    ['name=two&status=failed&trigger=cli&from=2026-11-24T12:00:00Z&to=2026-11-25T00:00:00Z', [d]],
    [`workId=${WORK}`, [b]],
    [`workId=${WORK.toUpperCase()}&name=two`, [b]],
    [`workId=${WORK}&name=one`, []],
    [`workId=${UNKNOWN_ID}`, []],
    ['name=one&status=success', []],
    ['name=%25', []],
    ["name=one'%20or%20'1'%3D'1", []],
  ]
  for (const [query, expected] of cases) {
    expect({ query, ids: await listIds(query) }).toEqual({ query, ids: expected })
  }
})

it('tells apart what became of runs, and filters by it and by the code', async () => {
  const codes = ['cancelled', 'guard_blocked', 'expired', 'worker_lost', 'drained', 'ECONNREFUSED']
  const outcomes = ['cancelled', 'blocked', 'expired', 'lost', 'givenBack', 'failed']
  const ids = await seed(
    ...codes.map((errorCode) => ({ status: 'failed' as const, errorCode })),
    { status: 'running' },
    {},
  )
  const { runs } = (await list('')).json()
  const outcomeOf = new Map(
    runs.map((run: { id: string; outcome: string }) => [run.id, run.outcome]),
  )
  expect(ids.map((id) => outcomeOf.get(id))).toEqual([...outcomes, 'running', 'success'])
  for (const [at, outcome] of [...outcomes, 'running', 'success'].entries()) {
    expect(await listIds(`outcome=${outcome}`), outcome).toEqual([ids[at]])
  }
  for (const [at, code] of codes.entries()) {
    expect(await listIds(`errorCode=${code}`), code).toEqual([ids[at]])
  }
  expect(await listIds('outcome=failed&status=failed&errorCode=ECONNREFUSED')).toEqual([ids[5]])
  expect(await listIds('outcome=lost&errorCode=ECONNREFUSED')).toEqual([])
  expect(await listIds('status=success&outcome=failed')).toEqual([])
})

it('filters by worker and by how long runs took, as far as is known', async () => {
  const ended = (ms: number) => new Date(NOON.getTime() + ms)
  const [quick, slow, old, young] = await seed(
    { workerId: 'host-1:77', endedAt: ended(10) },
    { workerId: 'host-1:78', endedAt: ended(90_000) },
    { workerId: 'host-2:1', status: 'running', startedAt: new Date(Date.now() - 3_600_000) },
    { workerId: 'host-2:%_', status: 'running', startedAt: new Date(Date.now() + 60_000) },
  )
  const cases: [query: string, expected: (string | undefined)[]][] = [
    ['worker=host-1', [quick, slow]],
    ['worker=host-1:78', [slow]],
    ['worker=ost-1', []],
    ['worker=host-2:%25_', [young]],
    ['worker=%25', []],
    ['minDurationMs=0', [quick, slow, old]],
    ['minDurationMs=90000', [slow, old]],
    ['minDurationMs=90001', [old]],
    ['maxDurationMs=90000', [quick, slow]],
    ['maxDurationMs=10', [quick]],
    ['minDurationMs=11&maxDurationMs=90000&worker=host-1', [slow]],
    ['worker=host-2&outcome=running&minDurationMs=1000', [old]],
    ['minDurationMs=999999999999', []],
  ]
  for (const [query, expected] of cases) {
    expect({ query, ids: new Set(await listIds(query)) }).toEqual({
      query,
      ids: new Set(expected),
    })
  }
})

it('filters by a label, or by a part of labels where no run has just that', async () => {
  const [first, second, other] = await seed({}, {}, {}, {})
  for (const [id, label] of [
    [first, 'Order 47'],
    [second, 'Order 47'],
    [other, 'Order 4711 %'],
  ]) {
    await api.prisma.$executeRaw`update "JobRun" set "label" = ${label} where "id" = ${id}::uuid`
  }
  const cases: [label: string, expected: (string | undefined)[]][] = [
    ['Order 47', [second, first]],
    ['order 47', [second, first, other]],
    ['4711', [other]],
    ['%', [other]],
    ['_', []],
    ['Order 48', []],
  ]
  for (const [label, expected] of cases) {
    const ids = await listIds(new URLSearchParams({ label }).toString())
    expect({ label, ids: new Set(ids) }).toEqual({ label, ids: new Set(expected) })
  }
})

it('holds whatever people type into filters and the search', async () => {
  await seed({ status: 'failed', errorCode: 'x' })
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.constantFrom("'", '%', '_', '\\', '\0', '$1', '--', '\ud800', 'ECONN"', '{}', 'a&b=c'),
  )
  const asked = fc.record(
    {
      name: text,
      outcome: text,
      errorCode: text,
      worker: text,
      label: text,
      minDurationMs: fc.oneof(text, fc.nat().map(String)),
      maxDurationMs: fc.oneof(text, fc.nat().map(String)),
      from: text,
      cursor: text,
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(asked, text, async (query, q) => {
      const answers = [
        await list(encode(query)),
        await api.as('admin', { method: 'GET', url: `/api/console/search?${encode({ q })}` }),
        await api.as('admin', {
          method: 'GET',
          url: `/api/jobs/dead-letters?${encode({ name: query.name, errorCode: query.errorCode })}`,
        }),
      ]
      for (const { statusCode } of answers) expect([200, 400]).toContain(statusCode)
    }),
    { numRuns: 25 },
  )
}, 60_000)

function encode(query: Record<string, string | undefined>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  // Halves of surrogate pairs have no bytes: they arrive as U+FFFD.
  return new URLSearchParams(given as [string, string][]).toString()
}

it('shows progress only in the form that a run reports it', async () => {
  for (const [progress, shown] of [
    [
      { done: 0.5, total: 2 },
      { done: 0.5, total: 2 },
    ],
    [{ percent: 3 }, null],
    ['half', null],
  ] as const) {
    await seed({ progress })
    expect((await list('')).json().runs[0].progress).toEqual(shown)
  }
})

describe('refuses with the place that is wrong', () => {
  const cases: [query: string, paths: string[]][] = [
    ...['0', '201', '-1', '1.5', '1e2', '0x10', 'abc', '', '%20', '9999999999', 'NaN', 'null'].map(
      (limit) => [`limit=${limit}`, ['query.limit']] as [string, string[]],
    ),
    ['limit=1&limit=2', ['query.limit']],
    ['cursor=abc', ['query.cursor']],
    ['name=', ['query.name']],
    [`name=${'x'.repeat(101)}`, ['query.name']],
    ['name=a%00b', ['query.name']],
    ['status=done', ['query.status']],
    ['status=', ['query.status']],
    ['outcome=won', ['query.outcome']],
    ['errorCode=', ['query.errorCode']],
    ['errorCode=a%00b', ['query.errorCode']],
    ['worker=', ['query.worker']],
    [`worker=${'x'.repeat(201)}`, ['query.worker']],
    ['minDurationMs=-1', ['query.minDurationMs']],
    ['minDurationMs=1.5', ['query.minDurationMs']],
    ['minDurationMs=1000000000000', ['query.minDurationMs']],
    ['maxDurationMs=1s', ['query.maxDurationMs']],
    ['minDurationMs=2&maxDurationMs=1', ['query.maxDurationMs']],
    ['trigger=cron', ['query.trigger']],
    ['from=yesterday', ['query.from']],
    ['from=2026-11-24', ['query.from']],
    ['from=2026-11-24T12:00:00', ['query.from']],
    ['from=2026-02-30T12:00:00Z', ['query.from']],
    ['to=2026-11-24T25:00:00Z', ['query.to']],
    ['to=0001-01-01T00:00:00%2B14:00', ['query.to']],
    ['from=2026-11-24T12:00:00Z&to=2026-11-24T12:00:00Z', ['query.to']],
    ['from=2026-11-24T12:00:00Z&to=2026-11-24T13:00:00%2B02:00', ['query.to']],
    ['page=2', ['query.page']],
    ['Limit=2', ['query.Limit']],
    ['limit=0&status=x&page=2', ['query.limit', 'query.status', 'query.page']],
  ]
  for (const [query, paths] of cases) {
    it(query.slice(0, 80), async () => expectInvalid(await list(query), paths))
  }
})

const WORK = '01a20e26-367c-766a-a085-000000000001'

const get = (id: string) => api.as('admin', { method: 'GET', url: `/api/jobs/runs/${id}` })
/** As it is told: JobCancel has what somebody asked of it while it runs. */
async function read(id: string) {
  const run = await api.prisma.jobRun.findUniqueOrThrow({ where: { id } })
  const [asked] = await api.prisma.$queryRaw<{ at: Date; by: string; reason: string }[]>`
    select "requestedAt" as "at", "requestedBy" as "by", "reason" from "JobCancel" where "runId" = ${id}::uuid`
  if (asked === undefined) return run
  const { at, by, reason } = asked
  return { ...run, cancelRequestedAt: at, cancelRequestedBy: by, reason: run.reason ?? reason }
}

function post(path: string, reason: string, role: 'admin' | 'owner' = 'admin') {
  return api.as(role, { method: 'POST', url: `/api/jobs/runs/${path}`, payload: { reason } })
}

describe('GET /api/jobs/runs/:id', () => {
  it('names the zone of the schedule that its tick belongs to', async () => {
    const [ofTick, onRequest] = await seed({ name: 'zoned', scheduledFor: NOON }, { name: 'zoned' })
    await api.prisma.jobSchedule.create({
      data: { name: 'zoned', cron: '0 13 * * *', timeZone: 'Europe/Berlin', cursor: NOON },
    })
    expect((await get(ofTick!)).json()).toMatchObject({ timeZone: 'Europe/Berlin' })
    expect((await get(onRequest!)).json()).toMatchObject({ timeZone: null })
    await api.prisma.jobSchedule.delete({ where: { name_key: { name: 'zoned', key: '' } } })
    expect((await get(ofTick!)).json()).toMatchObject({ timeZone: null })
  })

  it('shows what the list shows of a run, and the other runs of the same piece of work', async () => {
    const at = (seconds: number) => new Date(NOON.getTime() + seconds * 1_000)
    const [third, first, second] = await seed(
      { workId: WORK, attempt: 3, startedAt: at(20), status: 'running' },
      { workId: WORK, attempt: 1, startedAt: at(0), status: 'failed' },
      { workId: WORK, attempt: 2, startedAt: at(10), status: 'failed' },
      { workId: UNKNOWN_ID },
      { workId: null },
    )
    const response = await get(second!)
    expect(response.statusCode).toBe(200)
    const {
      attempts,
      actions,
      enqueuedAt: _,
      lastSuccess: _last,
      batchMarks,
      ...run
    } = response.json()
    expect([actions, batchMarks]).toEqual([[], []])
    const { shown, dueAt, logs, equalFailures, work, ...others } = run
    const { key, uniqueKey, enqueuedBy, traceId, links, waits, timeZone, ...listed } = others
    expect([waits, timeZone]).toEqual([[], null])
    expect([key, uniqueKey, enqueuedBy, traceId]).toEqual([null, null, null, null])
    expect(links).toEqual({
      parent: null,
      again: null,
      children: [],
      areChildrenCut: false,
      sameLabel: [],
    })
    expect((await list('')).json().runs).toContainEqual(listed)
    expect({ shown, dueAt, logs, equalFailures, work }).toEqual({
      shown: null,
      dueAt: null,
      logs: null,
      equalFailures: { count: 2, since: at(0).toISOString(), isCut: false },
      // Its next attempt runs.
      work: { holdsPayload: true, isDeadLetter: false, nextAt: null, losses: null },
    })
    expect(attempts).toEqual([
      {
        id: first,
        attempt: 1,
        status: 'failed',
        outcome: 'failed',
        startedAt: at(0).toISOString(),
        endedAt: expect.any(String),
        dueAt: null,
        errorCode: 'unknown',
      },
      {
        id: third,
        attempt: 3,
        status: 'running',
        outcome: 'running',
        startedAt: at(20).toISOString(),
        endedAt: null,
        dueAt: null,
        errorCode: null,
      },
    ])
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('says in what a failed run differs from the last success before it', async () => {
    const at = (seconds: number) => new Date(NOON.getTime() + seconds * 1_000)
    const [, last, , failed, later] = await seed(
      { startedAt: at(0), workerId: 'a:1:0a' },
      { startedAt: at(10), workerId: 'a:1:0a' },
      { startedAt: at(15), workerId: 'c:3:0a', dryRun: true },
      { startedAt: at(20), workerId: 'b:2:0a', status: 'failed' },
      { startedAt: at(30), workerId: 'd:4:0a' },
    )
    await api.prisma.$executeRaw`
      update "JobRun" set "key" = case when "id" = ${last}::uuid then 'acme' end, "shown" = jsonb_build_object('currency', 'EUR', 'amount', case when "id" = ${failed}::uuid then 0 else 7 end)`
    const { lastSuccess } = (await get(failed!)).json()
    expect(lastSuccess).toEqual({
      id: last,
      startedAt: at(10).toISOString(),
      differences: [
        { of: 'host', was: 'a', is: 'b' },
        { of: 'key', was: 'acme', is: null },
        { of: 'payload.amount', was: '7', is: '0' },
      ],
    })
    expect((await get(later!)).json()).toMatchObject({ lastSuccess: null })
  })

  it('says when its work was put into the queue', async () => {
    const { workId } = await api.prisma.$transaction((tx) =>
      api.jobsClient.enqueue(tx, cleanupI18nCache, {}),
    )
    const [id] = await seed({ name: 'cleanupI18nCache', workId })
    const [work] = await api.prisma.$queryRaw<{ at: Date }[]>`
      select "enqueuedAt" as "at" from "JobWork" where "id" = ${workId}::uuid`
    expect((await get(id!)).json().enqueuedAt).toBe(work!.at.toISOString())
    // Completed work leaves the queue. Its id tells when it was enqueued, by the clock of whoever did so.
    await api.prisma.$executeRaw`delete from "JobWork" where "id" = ${workId}::uuid`
    const told = new Date((await get(id!)).json().enqueuedAt)
    expect(Math.abs(told.getTime() - work!.at.getTime())).toBeLessThan(60_000)
    const [unknown] = await seed({ name: 'cleanupI18nCache', workId: crypto.randomUUID() })
    expect((await get(unknown!)).json().enqueuedAt).toBeNull()
  })

  it('shows of what a run logged the lines that can be read', async () => {
    const line = { at: NOON.getTime(), level: 'info', message: 'paid' }
    const odd = [{ ...line, at: 1e300 }, { ...line, message: 1 }, [], 'paid']
    // Prisma's client does not know the column.
    const logsOf = async (logs: object) => {
      const [id] = await seed({})
      await api.prisma
        .$executeRaw`update "JobRun" set "logs" = ${JSON.stringify(logs)}::text::jsonb where "id" = ${id}::uuid`
      return (await api.as('owner', { method: 'GET', url: `/api/jobs/runs/${id}` })).json().logs
    }
    expect(await logsOf({ lines: [line, ...odd, { ...line, fields: 'a=1' }], earlier: 3 })).toEqual(
      {
        lines: [
          { at: NOON.toISOString(), level: 'info', message: 'paid', fields: null },
          { at: NOON.toISOString(), level: 'info', message: 'paid', fields: 'a=1' },
        ],
        earlier: 3,
      },
    )
    expect(await logsOf({ lines: 'paid' })).toBeNull()
  })

  it('shows a run that no queue delivered as the only one', async () => {
    const [id] = await seed({ workId: null, trigger: 'cli' }, { workId: null })
    expect((await get(id!)).json().attempts).toEqual([])
  })
})

describe('POST /api/jobs/runs/:id/cancel', () => {
  it('marks a run under way with who and why, and leaves its end to its worker', async () => {
    const [id, other] = await seed({ status: 'running' }, { status: 'running' })
    const response = await post(`${id}/cancel`, 'it locks too much', 'owner')
    expect([response.statusCode, response.json()]).toEqual([202, { id, status: 'requested' }])
    expect(await read(id!)).toMatchObject({
      status: 'running',
      endedAt: null,
      cancelRequestedAt: expect.any(Date),
      cancelRequestedBy: 'owner@example.com',
      reason: 'it locks too much',
    })
    expect((await get(id!)).json()).toMatchObject({ cancelRequestedBy: 'owner@example.com' })
    expect(await read(other!)).toMatchObject({ cancelRequestedAt: null, reason: null })
  })
})

describe('POST /api/jobs/runs/:id/approve', () => {
  const HOUR_MS = 3_600_000

  /** Adds a run that its guard blocked some hours ago, by the database's clock. */
  async function seedBlocked(hoursAgo = 1): Promise<string> {
    await emptyQueue(api.prisma)
    const [id] = await seed({
      name: 'cleanupI18nCache',
      status: 'failed',
      endedAt: new Date(Date.now() - hoursAgo * HOUR_MS),
      details: {
        error: { code: 'guard_blocked', message: '500 rows are due' },
        guard: { due: 500, allowed: 100, total: 1_000 },
      },
    })
    return id!
  }

  it('puts a run into the queue that may change what was counted, and says who let it', async () => {
    const id = await seedBlocked()
    const response = await post(`${id}/approve`, 'they left the company', 'owner')
    expect(response.statusCode).toBe(202)
    const { workId, rows } = response.json()
    expect(rows).toBe(500)
    expect(await listQueue(api.prisma)).toEqual([
      {
        id: workId,
        name: 'cleanupI18nCache',
        state: 'created',
        data: {
          payload: {},
          trigger: 'manual',
          actor: 'owner@example.com',
          reason: 'they left the company',
          approvedRows: 500,
          approvedUntil: expect.any(String),
        },
      },
    ])
    expect(await read(id)).toMatchObject({
      status: 'failed',
      approvedAt: expect.any(Date),
      approvedBy: 'owner@example.com',
    })
    // Only a worker records the run that makes up for it.
    expect(await api.prisma.jobRun.count()).toBe(1)
  })
})
