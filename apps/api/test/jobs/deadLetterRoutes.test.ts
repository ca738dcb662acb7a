import { dispatchEmail, renderInvoicePdf } from '@roundsman/jobs'
import { defineJob, type Job } from '@roundsman/engine'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestApi, jobs, type TestApi } from '../createTestApi.ts'
import { expectInvalid, expectProblem } from '../expectProblem.ts'
import { setWork } from '../invoices.ts'
import { listQueue } from '../listQueue.ts'
import { withRefusedCommit } from '../withRefusedCommit.ts'

/** Enqueued once, and no longer in the catalogue. */
const formerJob = defineJob({ name: 'formerJob', description: 'Has left the catalogue.' })

let api: TestApi
beforeAll(async () => {
  api = await createTestApi({ queuesFor: [...jobs, formerJob] })
})
afterAll(() => api.close())

beforeEach(async () => {
  await api.prisma.$executeRaw`truncate pgboss.job`
})

const UNKNOWN_ID = '01a20e26-367c-766a-a085-72e882269712'
const URL = '/api/jobs/dead-letters'

const list = (query = '') => api.as('admin', { method: 'GET', url: `${URL}?${query}` })
const redrive = (id: string, payload: object = { reason: 'the server is back' }) =>
  api.as('owner', { method: 'POST', url: `${URL}/${id}/redrive`, payload })
const redriveMany = (payload: object) =>
  api.as('admin', { method: 'POST', url: `${URL}/redrive`, payload })
const discard = (id: string, payload?: object) =>
  api.as('admin', { method: 'DELETE', url: `${URL}/${id}`, ...(payload && { payload }) })

/** Work that a worker has given up: as it is in the queue then. */
async function giveUp(job: Job, payload: object, count = 1): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i += 1) {
    const { queueJobId } = await api.prisma.$transaction((tx) =>
      api.jobsClient.enqueue(tx, job, payload),
    )
    await setWork(api.prisma, queueJobId, 'failed', { code: 'smtp_down', message: 'No answer' })
    ids.push(queueJobId)
  }
  await api.prisma.$executeRaw`
    update pgboss.job set retry_count = 2, deletion_seconds = 0 where state = 'failed'`
  return ids
}

const giveUpEmails = (count = 1) => giveUp(dispatchEmail, { emailId: randomUUID() }, count)
const giveUpRender = () => giveUp(renderInvoicePdf, { invoiceId: randomUUID(), version: 1 })

async function listIds(query = ''): Promise<string[]> {
  const response = await list(query)
  expect(response.statusCode).toBe(200)
  return response.json().deadLetters.map((one: { queueJobId: string }) => one.queueJobId)
}

describe('GET /api/jobs/dead-letters', () => {
  it('shows what was given up, with its error and without its payload', async () => {
    const [id] = await giveUpEmails()
    const response = await list()
    expect(response.json()).toEqual({
      deadLetters: [
        {
          queueJobId: id,
          name: 'dispatchEmail',
          label: null,
          shown: null,
          attempts: 3,
          enqueuedAt: expect.stringMatching(/Z$/),
          failedAt: expect.stringMatching(/Z$/),
          error: { code: 'smtp_down', message: 'No answer' },
        },
      ],
      nextCursor: null,
    })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it('shows what a program has enqueued or a person has asked for, and nobody tries any more', async () => {
    const [email] = await giveUpEmails()
    const others = await giveUpEmails(3)
    for (const [i, state] of (['retry', 'active', 'completed'] as const).entries()) {
      await setWork(api.prisma, others[i]!, state)
    }
    const url = '/api/jobs/cleanupI18nCache/run'
    for (const dryRun of [true, false]) {
      const payload = { reason: 'why', dryRun }
      const asked = await api.as('admin', { method: 'POST', url, payload })
      const { queueJobId } = asked.json()
      await setWork(api.prisma, queueJobId, 'failed')
      // What only rehearsed is nobody's to do again.
      expect((await listIds()).toSorted()).toEqual(
        dryRun ? [email] : [email, queueJobId].toSorted(),
      )
    }
  })

  it('leads from page to page, the latest first, by name too', async () => {
    const emails = await giveUpEmails(7)
    const [render] = await giveUpRender()
    // Several at one instant, which is between two milliseconds.
    await api.prisma.$executeRaw`
      update pgboss.job set completed_on = '2026-11-24 09:00:00.123456+00' where name = 'dispatchEmail'`
    expect(await listIds('name=renderInvoicePdf')).toEqual([render])
    expect(await listIds('name=nothing')).toEqual([])
    const seen: string[] = []
    let query = 'limit=3'
    for (let pages = 1; pages <= 3; pages += 1) {
      const { deadLetters, nextCursor } = (await list(query)).json()
      seen.push(...deadLetters.map((one: { queueJobId: string }) => one.queueJobId))
      expect(nextCursor === null).toBe(pages === 3)
      query = `limit=3&cursor=${nextCursor}`
    }
    expect(seen).toEqual([render, ...emails.toSorted().toReversed()])
  })

  const cursorOf = (text: string) => Buffer.from(text).toString('base64url')
  for (const [query, path] of [
    ['limit=0', 'query.limit'],
    ['cursor=abc', 'query.cursor'],
    [`cursor=${cursorOf(`2026-02-30 12:00:00+00/${UNKNOWN_ID}`)}`, 'query.cursor'],
    [`cursor=${cursorOf(`2026-11-24 12:00:00+01/${UNKNOWN_ID}`)}`, 'query.cursor'],
    ['name=', 'query.name'],
    ['name=a%00b', 'query.name'],
    ['state=failed', 'query.state'],
  ] as const) {
    it(`refuses ${query.slice(0, 60)}`, async () => expectInvalid(await list(query), [path]))
  }
})

describe('POST /api/jobs/dead-letters/:queueJobId/redrive', () => {
  it('gives it back to the queue, with who wanted it and why', async () => {
    const [id, other] = await giveUpEmails(2)
    const response = await redrive(id!)
    expect([response.statusCode, response.json()]).toEqual([200, { redriven: 1 }])
    const queue = await listQueue(api.prisma)
    expect(queue.find((work) => work.id === id)).toMatchObject({
      state: 'retry',
      data: { actor: 'owner@example.com', reason: 'the server is back', trigger: 'queue' },
    })
    expect(queue.find((work) => work.id === other)).toMatchObject({ state: 'failed' })
    expect(await listIds()).toEqual([other])
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'dead letters redriven',
        name: 'dispatchEmail',
        queueJobId: id,
        redriven: 1,
        userId: api.userIds.owner,
      }),
    )
    expectProblem(await redrive(id!), 404)
  })

  it('happens once for all who want it at once', async () => {
    const [id] = await giveUpEmails()
    const answers = await Promise.all(Array.from({ length: 5 }, () => redrive(id!)))
    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
    expect(answers.filter(({ statusCode }) => statusCode === 404)).toHaveLength(4)
  })

  it('does not know what is no dead letter', async () => {
    const [id] = await giveUpEmails()
    await setWork(api.prisma, id!, 'active')
    for (const unknown of [id!, UNKNOWN_ID]) expectProblem(await redrive(unknown), 404)
    expectInvalid(await redrive('1'), ['params.queueJobId'])
    expect((await listQueue(api.prisma))[0]?.state).toBe('active')
  })

  it('leaves that of a job which is not in the catalogue any more', async () => {
    const [id] = await giveUp(formerJob, {})
    expect(expectProblem(await redrive(id!), 409).detail).toContain('formerJob')
    expect(await listIds()).toEqual([id])
  })

  it('leaves one whose unique key other work holds, and says so', async () => {
    const emailId = randomUUID()
    const enqueue = () =>
      api.prisma.$transaction((tx) =>
        api.jobsClient.enqueue(tx, dispatchEmail, { emailId }, { uniqueKey: emailId }),
      )
    const { queueJobId: id } = await enqueue()
    await setWork(api.prisma, id, 'failed')
    const [free] = await giveUpEmails()
    await enqueue()
    expect(expectProblem(await redrive(id), 409).detail).toContain('unique key')
    expect((await redriveMany({ name: 'dispatchEmail', reason: 'all of them' })).json()).toEqual({
      redriven: 1,
      alreadyQueued: 1,
    })
    expect(await listIds()).toEqual([id])
    expect((await listQueue(api.prisma)).find((work) => work.id === free)).toMatchObject({
      state: 'retry',
    })
  })

  it('needs a reason', async () => {
    const [id] = await giveUpEmails()
    for (const payload of [{}, { reason: '' }, { reason: ' ' }, { reason: 'a\0b' }]) {
      expectInvalid(await redrive(id!, payload), ['body.reason'])
    }
    expect(await listIds()).toEqual([id])
  })

  it('changes nothing when its transaction does not commit', async () => {
    const [id] = await giveUpEmails()
    const before = await listQueue(api.prisma)
    await withRefusedCommit(api.prisma, 'delete on pgboss.job_common', async () => {
      expectProblem(await redrive(id!), 500)
    })
    expect(await listQueue(api.prisma)).toEqual(before)
  })
})

describe('POST /api/jobs/dead-letters/redrive', () => {
  it('gives all of a job back', async () => {
    const emails = await giveUpEmails(3)
    const [render] = await giveUpRender()
    const response = await redriveMany({ name: 'dispatchEmail', reason: 'why' })
    expect([response.statusCode, response.json()]).toEqual([200, { redriven: 3 }])
    expect(await listIds()).toEqual([render])
    const queue = await listQueue(api.prisma)
    for (const id of emails) {
      expect(queue.find((work) => work.id === id)).toMatchObject({
        state: 'retry',
        data: { actor: 'admin@example.com', reason: 'why' },
      })
    }
    const again = await redriveMany({ name: 'dispatchEmail', reason: 'why' })
    expect(again.json()).toEqual({ redriven: 0 })
  })

  it('or those that are named, as far as they are its', async () => {
    const [first, second, third] = await giveUpEmails(3)
    const [render] = await giveUpRender()
    const queueJobIds = [first, third, render, UNKNOWN_ID]
    const response = await redriveMany({ name: 'dispatchEmail', queueJobIds, reason: 'why' })
    expect(response.json()).toEqual({ redriven: 2 })
    expect(new Set(await listIds())).toEqual(new Set([second, render]))
  })

  const body = { name: 'dispatchEmail', reason: 'why' }
  const thousand = Array.from({ length: 1_000 }, () => UNKNOWN_ID)
  const cases: [what: string, payload: object, paths: string[]][] = [
    ['no job', { reason: 'why' }, ['body.name']],
    ['a job that there is not', { ...body, name: 'formerJob' }, ['body.name']],
    ['a name with NUL', { ...body, name: 'a\0b' }, ['body.name']],
    ['no reason', { name: 'dispatchEmail' }, ['body.reason']],
    ['none', { ...body, queueJobIds: [] }, ['body.queueJobIds']],
    ['what is not an id', { ...body, queueJobIds: ['1'] }, ['body.queueJobIds.0']],
    ['too many', { ...body, queueJobIds: [...thousand, UNKNOWN_ID] }, ['body.queueJobIds']],
    ['something else as well', { ...body, all: true }, ['body.all']],
  ]
  for (const [what, payload, paths] of cases) {
    it(`refuses ${what}`, async () => {
      const ids = await giveUpEmails()
      expectInvalid(await redriveMany(payload), paths)
      expect(await listIds()).toEqual(ids)
    })
  }

  it('takes a thousand ids', async () => {
    const [id = ''] = await giveUpEmails()
    const queueJobIds = [...thousand.slice(1), id]
    expect((await redriveMany({ ...body, queueJobIds })).json()).toEqual({ redriven: 1 })
  })
})

describe('DELETE /api/jobs/dead-letters/:queueJobId', () => {
  it('removes it, and leaves what its runs have recorded', async () => {
    const [id, other] = await giveUpEmails(2)
    await api.prisma.jobRun.create({
      data: { name: 'dispatchEmail', trigger: 'queue', workerId: 'worker', queueJobId: id! },
    })
    const response = await discard(id!)
    expect([response.statusCode, response.body]).toEqual([204, ''])
    expect(await listIds()).toEqual([other])
    expect((await listQueue(api.prisma)).map((work) => work.id)).toEqual([other])
    expect(await api.prisma.jobRun.count({ where: { queueJobId: id! } })).toBe(1)
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'dead letter discarded',
        queueJobId: id,
        userId: api.userIds.admin,
      }),
    )
    expectProblem(await discard(id!), 404)
  })

  it('records why, where that is said', async () => {
    const ids = await giveUpEmails(2)
    expect((await discard(ids[0]!, { reason: 'it was sent by hand' })).statusCode).toBe(204)
    expect((await discard(ids[1]!)).statusCode).toBe(204)
    const actions = await api.prisma.jobAction.findMany({
      where: { queueJobId: { in: ids }, action: 'discard' },
      select: { queueJobId: true, reason: true },
    })
    expect(Object.fromEntries(actions.map((a) => [a.queueJobId, a.reason]))).toEqual({
      [ids[0]!]: 'it was sent by hand',
      [ids[1]!]: null,
    })
    expectInvalid(await discard(ids[0]!, { reason: '' }), ['body.reason'])
  })

  it('also that of a job which is not in the catalogue any more', async () => {
    const [id] = await giveUp(formerJob, {})
    expect((await discard(id!)).statusCode).toBe(204)
  })

  it('leaves what is no dead letter', async () => {
    const [id] = await giveUpEmails()
    await setWork(api.prisma, id!, 'retry')
    expectProblem(await discard(id!), 404)
    expectInvalid(await discard('1'), ['params.queueJobId'])
    expect(await listQueue(api.prisma)).toHaveLength(1)
  })
})

it('is no job: what is asked of a job of that name is refused', async () => {
  const ticks = await api.as('admin', { method: 'GET', url: `${URL}/ticks` })
  expect(expectProblem(ticks, 404).detail).toContain('no job with this name')
  const payload = { reason: 'why' }
  const run = await api.as('admin', { method: 'POST', url: `${URL}/run`, payload })
  expect(expectProblem(run, 404).detail).toContain('no job with this name')
})
