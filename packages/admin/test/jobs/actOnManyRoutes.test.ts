import { randomUUID } from 'node:crypto'
import { Prisma } from '@roundsman/db'
import { defineJob } from '@roundsman/engine'
import {
  emptyQueue,
  emptyTables,
  expectInvalid,
  HOLD_RUNS_SQL,
  openForTests,
  setWork,
  UNKNOWN_ID,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { dispatchEmail, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await emptyQueue(api.prisma)
  await emptyTables(api.prisma, '"JobRun", "JobClaim", "JobCancel", "JobAction"')
})

const URL = '/api/jobs/bulk'
const act = (payload: object) => api.as('admin', { method: 'POST', url: URL, payload })
const reason = 'they flood us'
const enqueue = () => api.jobsClient.enqueueNow(dispatchEmail, { emailId: randomUUID() })
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
    groups: [{ by: 'label', field: null, value: 'b', count: 2 }],
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
    const response = await act(filter)
    expect(response.statusCode).toBe(200)
    const { mark, ...answer } = response.json()
    expect(answer).toEqual({ done: 3, passed: {}, left: 0 })
    expect(await countWaiting()).toEqual([{ count: 0 }])
    await enqueue()
    expect((await act({ ...filter, mark })).json()).toMatchObject({ done: 0, left: 0 })
    expectInvalid(await act({ ...filter, kind: 'discard', mark }), ['request.mark'])
    expect(await countWaiting()).toEqual([{ count: 1 }])
  })

  it('acts on all of a key, whatever that is, and on no other', async () => {
    const key = '../a b/ü🎈%2F?#'
    for (let n = 0; n < 3; n++) await enqueue()
    await api.prisma.$executeRaw`update "JobWork" set "key" = ''`
    await api.prisma
      .$executeRaw`update "JobWork" set "key" = ${key} where "id" in (select "id" from "JobWork" limit 2)`
    const cancelled = await act({ kind: 'cancelWork', name: dispatchEmail.name, key, reason })
    expect(cancelled.json()).toMatchObject({ done: 2 })
    expect((await act({ kind: 'discard', key, reason })).json()).toMatchObject({ done: 0 })
    expect((await act({ kind: 'cancelWork', key: '', reason })).json()).toMatchObject({ done: 1 })
  })

  it('postpones and prioritises, and its log says who asked', async () => {
    const ids: string[] = []
    for (let n = 0; n < 2; n++) ids.push((await enqueue()).workId)
    const startAfter = '2031-01-01T00:00:00.000Z'
    const postponed = await act({ kind: 'postponeWork', ids: [ids[0]], startAfter, reason })
    expect(postponed.json()).toMatchObject({ done: 1 })
    const prioritised = await act({ kind: 'prioritiseWork', all: true, priority: 5, reason })
    expect(prioritised.json()).toMatchObject({ done: 2 })
    const listed = await api.as('admin', { method: 'GET', url: '/api/jobs/work' })
    expect(listed.json().work).toMatchObject([
      { workId: ids[1], priority: 5, isDue: true },
      { workId: ids[0], priority: 5, startAfter, isDue: false },
    ])
    expect(api.log).toContainEqual(
      expect.objectContaining({
        ...{ msg: 'acted on many', kind: 'prioritiseWork', done: 2, left: 0 },
        userId: api.userIds.admin,
      }),
    )
  })

  it('passes over dead letters of jobs that have left the catalogue', async () => {
    const former = defineJob({ name: 'formerJob' })
    const letters = [await enqueue(), await api.jobsClient.enqueueNow(former, {})]
    for (const { workId } of letters) await setWork(api.prisma, workId, 'failed')
    const ids = letters.map(({ workId }) => workId)
    const response = await act({ kind: 'redrive', ids: [...ids, randomUUID()], reason })
    expect(response.json()).toMatchObject({ done: 1, passed: { unknown: 1, gone: 1 } })
    expect(await countWaiting()).toEqual([{ count: 1 }])
  })

  it('asks runs to stop that are under way, and retries what runs have left', async () => {
    const { workId: letter } = await enqueue()
    await setWork(api.prisma, letter, 'failed')
    await enqueue()
    const run = { name: dispatchEmail.name, trigger: 'queue', workerId: 'w' } as const
    const ended = { ...run, status: 'failed', errorCode: 'rare', endedAt: new Date() } as const
    const { id: over } = await api.prisma.jobRun.create({ data: { ...ended, workId: letter } })
    const { id } = await api.prisma.jobRun.create({ data: run })
    const { id: other } = await api.prisma.jobRun.create({ data: run })
    await api.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
    const cancelled = await act({ kind: 'cancel', ids: [id, over, randomUUID()], reason })
    expect(cancelled.json()).toMatchObject({ done: 1, passed: { gone: 2 } })
    const stops = async () =>
      await api.prisma.$queryRaw`select "runId"::text as "id" from "JobCancel"`
    expect(await stops()).toEqual([{ id }])
    await act({ kind: 'cancel', runs: { name: dispatchEmail.name, worker: 'w' }, reason })
    expect(new Set((await stops()) as object[])).toEqual(new Set([{ id }, { id: other }]))

    const none = await act({ kind: 'redrive', runs: { errorCode: 'none' }, reason })
    expect(none.json()).toMatchObject({ done: 0 })
    const retried = await act({ kind: 'redrive', runs: { errorCode: 'rare' }, reason })
    expect(retried.json()).toMatchObject({ done: 1 })
    expect(await countWaiting()).toEqual([{ count: 2 }])
  })

  it.each<[path: string, payload: object]>([
    ['all', { all: false }],
    ['ids', { ids: [] }],
    ['ids.0', { ids: ['1'] }],
    ['ids', { ids: Array.from({ length: 1_001 }, () => UNKNOWN_ID) }],
    ['label', { ids: [UNKNOWN_ID], label: 'x' }],
    ['reason', { all: true, reason: ' ' }],
    ['name', { name: 'a\0b' }],
    ['runs.outcome', { kind: 'cancel', runs: { outcome: 'sad' } }],
    ['runs.maxDurationMs', { kind: 'redrive', runs: { minDurationMs: 5, maxDurationMs: 4 } }],
    ['startAfter', { kind: 'postponeWork', all: true, startAfter: 'tomorrow' }],
    ['priority', { kind: 'prioritiseWork', all: true, priority: 0.5 }],
    ['priority', { kind: 'prioritiseWork', all: true, priority: 2 ** 31 }],
  ])('refuses a wrong %s', async (path, payload) => {
    await enqueue()
    expectInvalid(await act({ kind: 'cancelWork', reason, ...payload }), [`body.${path}`])
    expect(await countWaiting()).toEqual([{ count: 1 }])
  })

  it('refuses what says nothing, or two things', async () => {
    const kind = 'cancelWork'
    expectInvalid(await act({ kind, reason }), ['body.ids'])
    expectInvalid(await act({ kind, reason, all: true, name: 'x' }), ['body.name'])
    expectInvalid(await act({ kind, reason, errorCode: 'x' }), ['body.errorCode'])
    expectInvalid(await act({ kind, reason, all: true, priority: 1 }), ['body.priority'])
    expectInvalid(await act({ kind: 'postponeWork', reason, all: true }), ['body.startAfter'])
    expectInvalid(await act({ kind: 'discard', reason, runs: { name: 'x' } }), ['body.runs'])
    expectInvalid(await act({ kind: 'cancel', reason, name: 'x' }), ['body.name'])
    expectInvalid(await act({ kind, all: true }), ['body.reason'])
  })
})
