import type { Prisma } from '@roundsman/db'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '../createTestApi.ts'
import { expectInvalid } from '../expectProblem.ts'

let api: TestApi
beforeAll(async () => {
  api = await createTestApi()
})
afterAll(() => api.close())

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
    ...run,
  }
}

async function seed(...runs: Partial<Prisma.JobRunCreateManyInput>[]): Promise<string[]> {
  await api.prisma.jobRun.deleteMany()
  const created = await api.prisma.jobRun.createManyAndReturn({
    data: runs.map(makeRun),
    select: { id: true },
  })
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
    queueJobId: '01a20e26-367c-766a-a085-72e882269712',
    exclusiveKey: 'internal',
    createdAt: NOON,
  })
  const response = await list('')
  expect(response.json()).toEqual({
    runs: [
      {
        id,
        name: 'cleanupPreviewSessions',
        status: 'success',
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
        queueJobId: '01a20e26-367c-766a-a085-72e882269712',
        workerId: 'worker-1',
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

it('shows details of any JSON', async () => {
  for (const details of [
    { error: { code: 'timeout', message: 'Too slow' } },
    [1, 'a'],
    'text',
    0,
  ]) {
    await seed({ details })
    expect((await list('')).json().runs[0].details).toEqual(details)
  }
})

it('has nothing to show when nothing ran', async () => {
  await seed()
  expect((await list('')).json()).toEqual({ runs: [], nextCursor: null })
})

it('shows 50 at a time unless told otherwise, from 1 to 200', async () => {
  await seed(...Array.from({ length: 201 }, () => ({})))
  expect(await listIds('')).toHaveLength(50)
  expect(await listIds('limit=1')).toHaveLength(1)
  expect(await listIds('limit=200')).toHaveLength(200)
  expect(await listIds('limit=007')).toHaveLength(7)
})

it('leads from page to page, newest first, filters kept', async () => {
  const ids = await seed(
    ...Array.from({ length: 25 }, (_, i) => ({
      name: i % 5 === 0 ? 'cleanupI18nCache' : 'cleanupPreviewSessions',
      startedAt: new Date(NOON.getTime() + i * 1_000),
    })),
  )
  const expected = ids.filter((_, i) => i % 5 !== 0).toReversed()
  const seen: string[] = []
  let query = 'limit=6&name=cleanupPreviewSessions'
  for (let pages = 0; pages < 4; pages += 1) {
    const { runs, nextCursor } = (await list(query)).json()
    seen.push(...runs.map((run: { id: string }) => run.id))
    expect(nextCursor === null).toBe(pages === 3)
    query = `limit=6&name=cleanupPreviewSessions&cursor=${nextCursor}`
  }
  expect(seen).toEqual(expected)
})

it('filters by each field, and by several together', async () => {
  const at = (minutes: number) => new Date(NOON.getTime() + minutes * 60_000)
  const [a, b, c, d] = await seed(
    { name: 'one', status: 'running', trigger: 'schedule', startedAt: at(0) },
    { name: 'two', status: 'success', trigger: 'queue', startedAt: at(1), endedAt: at(2) },
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
    ['name=one&status=success', []],
    ['name=%25', []],
    ["name=one'%20or%20'1'%3D'1", []],
  ]
  for (const [query, expected] of cases) {
    expect({ query, ids: await listIds(query) }).toEqual({ query, ids: expected })
  }
})

it('records nothing by being asked', async () => {
  await seed({})
  await listIds('')
  expect(await api.prisma.jobRun.count()).toBe(1)
})

describe('refuses with the place that is wrong', () => {
  const cursorOf = (text: string) => Buffer.from(text).toString('base64url')
  const id = '01a20e26-367c-766a-a085-72e882269712'
  const cases: [query: string, paths: string[]][] = [
    ...['0', '201', '-1', '1.5', '1e2', '0x10', 'abc', '', '%20', '9999999999', 'NaN', 'null'].map(
      (limit) => [`limit=${limit}`, ['query.limit']] as [string, string[]],
    ),
    ['limit=1&limit=2', ['query.limit']],
    ['cursor=', ['query.cursor']],
    ['cursor=abc', ['query.cursor']],
    [`cursor=${'x'.repeat(201)}`, ['query.cursor']],
    [`cursor=${cursorOf('2026-11-24T12:00:00.000Z')}`, ['query.cursor']],
    [`cursor=${cursorOf(`2026-13-24T12:00:00.000Z/${id}`)}`, ['query.cursor']],
    [`cursor=${cursorOf(`0000-11-24T12:00:00.000Z/${id}`)}`, ['query.cursor']],
    [`cursor=${cursorOf("2026-11-24T12:00:00.000Z/' or true")}`, ['query.cursor']],
    [`cursor=${cursorOf(`2026-11-24T12:00:00.000Z/${id}`)}x`, ['query.cursor']],
    ['name=', ['query.name']],
    [`name=${'x'.repeat(101)}`, ['query.name']],
    ['name=a%00b', ['query.name']],
    ['status=done', ['query.status']],
    ['status=', ['query.status']],
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
