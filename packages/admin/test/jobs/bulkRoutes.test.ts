import { randomUUID } from 'node:crypto'
import {
  emptyQueue,
  emptyTables,
  expectInvalid,
  expectProblem,
  openForTests,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { dispatchEmail, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await emptyQueue(api.prisma)
  await emptyTables(api.prisma, '"JobBulk", "JobBulkPart"')
})

const URL = '/api/jobs/bulk'
const start = (payload: object) => api.as('admin', { method: 'POST', url: URL, payload })
const get = (path = '') => api.as('admin', { method: 'GET', url: `${URL}${path}` })
const stop = (id: string) => api.as('admin', { method: 'POST', url: `${URL}/${id}/stop` })
const reason = 'they flood us'
const enqueue = () => api.jobsClient.enqueue(api.prisma, dispatchEmail, { emailId: randomUUID() })
const countWaiting = async () => await api.prisma.$queryRaw`select count(*)::int from "JobWork"`

it('GET /api/jobs/work and its groups tell of what has a value in a field', async () => {
  await api.prisma.$executeRaw`
    insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt", "label", "facts")
    select gen_random_uuid(), 'x', 2, '{}', null, now() + interval '1 hour', label, ('{"shown": {"size": ' || n || '}}')::jsonb
    from unnest(array[1, 1, 2], array['a', 'b', 'b']) one(n, label)`
  const ask = async (url: string) =>
    (await api.as('admin', { method: 'GET', url: `/api/jobs/${url}` })).json()
  expect(await ask('work?field=size&value=1')).toMatchObject({ total: 2 })
  expect(await ask('work?field=size')).toMatchObject({ total: 0 })
  expect(await ask('work/groups?label=b')).toMatchObject({
    looked: 2,
    fields: ['size'],
    groups: [{ field: null, value: 'b', count: 2 }],
  })
  expect(await ask('dead-letters/groups?field=size')).toEqual({
    looked: 0,
    isCut: false,
    fields: [],
    groups: [],
  })
})

describe('POST /api/jobs/bulk', () => {
  it('does what matches, and tells what came of it', async () => {
    for (let n = 0; n < 3; n++) await enqueue()
    const filter = { kind: 'cancelWork', name: dispatchEmail.name, reason }
    const response = await start(filter)
    expect(response.statusCode).toBe(200)
    const act = response.json()
    expect(act).toMatchObject({ kind: 'cancelWork', matched: 3, done: 3, left: 0, reason })
    expect(await countWaiting()).toEqual([{ count: 0 }])
    expect((await get()).json()).toEqual({ acts: [act] })
    expect((await get('?isOpen=true')).json()).toEqual({ acts: [] })
    expect((await get(`/${act.id}`)).json()).toEqual(act)
    expect((await stop(act.id)).json()).toEqual(act)
  })

  it('is stopped before it is done', async () => {
    for (let n = 0; n < 3; n++) await enqueue()
    const id = await api.prisma.$transaction(async (tx) => {
      const by = { actor: 'a', reason }
      const request = { ...by, kind: 'cancelWork', which: 'all' } as const
      return (await api.jobsClient.startBulk(request, { tx })).id
    })
    expect((await get('?isOpen=true')).json().acts).toMatchObject([{ id, left: 3 }])
    const stopped = (await stop(id)).json()
    expect(stopped).toMatchObject({ id, done: 0, left: 3, stoppedBy: expect.any(String) })
    expect(stopped.endedAt).not.toBeNull()
    expect(await countWaiting()).toEqual([{ count: 3 }])
  })

  it('refuses what says nothing, or two things', async () => {
    const kind = 'cancelWork'
    expectInvalid(await start({ kind, reason }), ['body.ids'])
    expectInvalid(await start({ kind, reason, all: true, name: 'x' }), ['body.name'])
    expectInvalid(await start({ kind, reason, errorCode: 'x' }), ['body.errorCode'])
    expectInvalid(await start({ kind, reason, all: true, priority: 1 }), ['body.priority'])
    expectInvalid(await start({ kind: 'postponeWork', reason, all: true }), ['body.startAfter'])
    expectInvalid(await start({ kind: 'discard', reason, runs: { name: 'x' } }), ['body.runs'])
    expectInvalid(await start({ kind: 'cancel', reason, name: 'x' }), ['body.name'])
    expectInvalid(await start({ kind, all: true }), ['body.reason'])
  })

  it('knows what there is not', async () => {
    expectProblem(await get(`/${randomUUID()}`), 404)
    expectProblem(await stop(randomUUID()), 404)
  })
})
