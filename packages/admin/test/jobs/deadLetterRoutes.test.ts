import { defineJob, type Job } from '@roundsman/engine'
import { randomUUID } from 'node:crypto'
import {
  emptyQueue,
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  setWork,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { dispatchEmail, openTestAdmin, renderInvoicePdf } from '../openTestAdmin.ts'

/** A job whose work is still in the queue, and which the catalogue no longer has. */
const formerJob = defineJob({ name: 'formerJob', description: 'Has left the catalogue.' })

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await emptyQueue(api.prisma)
})

const URL = '/api/jobs/dead-letters'

const list = (query = '') => api.as('admin', { method: 'GET', url: `${URL}?${query}` })
const redrive = (id: string, payload: object = { reason: 'the server is back' }) =>
  api.as('owner', { method: 'POST', url: `${URL}/${id}/redrive`, payload })
const discard = (id: string, payload?: object) =>
  api.as('admin', { method: 'DELETE', url: `${URL}/${id}`, ...(payload && { payload }) })

/** Adds work as the queue has it once a worker has given it up. */
async function giveUp(job: Job, payload: object, count = 1): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i += 1) {
    const { workId } = await api.prisma.$transaction((tx) =>
      api.jobsClient.enqueue(tx, job, payload),
    )
    await setWork(api.prisma, workId, 'failed', { code: 'smtp_down', message: 'No answer' })
    ids.push(workId)
  }
  await api.prisma.$executeRaw`update "JobDeadLetter" set "attempt" = 3`
  return ids
}

const giveUpEmails = (count = 1) => giveUp(dispatchEmail, { emailId: randomUUID() }, count)
const giveUpRender = () => giveUp(renderInvoicePdf, { invoiceId: randomUUID(), version: 1 })

async function listIds(query = ''): Promise<string[]> {
  const response = await list(query)
  expect(response.statusCode).toBe(200)
  return response.json().deadLetters.map((one: { workId: string }) => one.workId)
}

describe('GET /api/jobs/dead-letters', () => {
  it('leads to the last run of it', async () => {
    const [workId] = await giveUpEmails()
    const run = (attempt: number) =>
      api.prisma.jobRun.create({
        data: {
          name: 'dispatchEmail',
          trigger: 'queue',
          workerId: 'w',
          status: 'failed',
          errorCode: 'smtp_down',
          endedAt: new Date(),
          attempt,
          workId: workId!,
        },
      })
    await run(1)
    const last = await run(3)
    await run(2)
    expect((await list()).json().deadLetters[0].runId).toBe(last.id)
  })

  it('is narrowed to one cause, of which it is known how many there are', async () => {
    const [first, second] = await giveUpEmails(2)
    const [render] = await giveUpRender()
    await api.prisma.$executeRaw`
      update "JobDeadLetter" set "errorCode" = 'ECONNREFUSED', "errorMessage" = 'connect' where "id" = ${second}::uuid`
    await api.prisma.$executeRaw`
      update "JobDeadLetter" set "errorCode" = 'expired', "errorMessage" = '' where "id" = ${render}::uuid`
    expect(await listIds('errorCode=smtp_down')).toEqual([first])
    expect(await listIds('errorCode=expired')).toEqual([render])
    expect(await listIds('errorCode=ECONNREFUSED&name=renderInvoicePdf')).toEqual([])
    const causes = async (query = '') =>
      (await api.as('admin', { method: 'GET', url: `${URL}/causes?${query}` })).json().causes
    expect(await causes('name=dispatchEmail')).toEqual([
      expect.objectContaining({ code: 'ECONNREFUSED', count: 1 }),
      {
        code: 'smtp_down',
        count: 1,
        firstAt: expect.stringMatching(/Z$/),
        lastAt: expect.stringMatching(/Z$/),
        isCut: false,
      },
    ])
    expect(await causes('errorCode=expired')).toEqual([
      expect.objectContaining({ code: 'expired', count: 1 }),
    ])
  })

  it('leads from page to page, the latest first, by name too', async () => {
    const emails = await giveUpEmails(7)
    const [render] = await giveUpRender()
    // Several rows have the same instant.
    await api.prisma.$executeRaw`
      update "JobDeadLetter" set "failedAt" = '2026-11-24 09:00:00.123+00' where "name" = 'dispatchEmail'`
    expect(await listIds('name=renderInvoicePdf')).toEqual([render])
    expect(await listIds('name=nothing')).toEqual([])
    const seen: string[] = []
    let query = 'limit=3'
    for (let pages = 1; pages <= 3; pages += 1) {
      const { deadLetters, nextCursor } = (await list(query)).json()
      seen.push(...deadLetters.map((one: { workId: string }) => one.workId))
      expect(nextCursor === null).toBe(pages === 3)
      query = `limit=3&cursor=${nextCursor}`
    }
    expect(seen).toEqual([render, ...emails.toSorted().toReversed()])
  })

  for (const [query, path] of [
    ['limit=0', 'query.limit'],
    ['cursor=abc', 'query.cursor'],
    ['name=a%00b', 'query.name'],
    ['state=failed', 'query.state'],
  ] as const) {
    it(`refuses ${query.slice(0, 60)}`, async () => expectInvalid(await list(query), [path]))
  }
})

describe('POST /api/jobs/dead-letters/:workId/redrive', () => {
  it('gives it back to the queue, with who wanted it and why', async () => {
    const [id, other] = await giveUpEmails(2)
    const response = await redrive(id!)
    expect([response.statusCode, response.json()]).toEqual([200, { redriven: 1, again: [] }])
    const queue = await listQueue(api.prisma)
    expect(queue.find((work) => work.id === id)).toMatchObject({
      state: 'retry',
      data: { actor: 'owner@example.com', reason: 'the server is back', trigger: 'queue' },
    })
    expect(queue.find((work) => work.id === other)).toMatchObject({ state: 'failed' })
    expect(await listIds()).toEqual([other])
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'dead letters retried',
        name: 'dispatchEmail',
        workId: id,
        redriven: 1,
        userId: api.userIds.owner,
      }),
    )
    expectProblem(await redrive(id!), 404)
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
    const { workId: id } = await enqueue()
    await setWork(api.prisma, id, 'failed')
    await enqueue()
    expect(expectProblem(await redrive(id), 409).detail).toContain('unique key')
    expect(await listIds()).toEqual([id])
  })

  it('asks whether it is wanted all the same, of work that has ended two workers', async () => {
    const [id, other] = await giveUpEmails(2)
    await api.prisma.$executeRaw`update "JobDeadLetter" set "losses" = 2 where "id" = ${id}::uuid`
    expect(expectProblem(await redrive(id!), 409)).toMatchObject({
      code: 'ended_workers',
      detail: expect.stringContaining('evenIfWorkersDied'),
    })
    const { deadLetters } = (await api.as('admin', { method: 'GET', url: URL })).json()
    expect(deadLetters).toMatchObject([
      { workId: other, losses: 0 },
      { workId: id, losses: 2 },
    ])
    const response = await redrive(id!, { reason: 'why', evenIfWorkersDied: true })
    expect([response.statusCode, response.json()]).toEqual([200, { redriven: 1, again: [] }])
    expect(await listIds()).toEqual([other])
  })
})

describe('DELETE /api/jobs/dead-letters/:workId', () => {
  it('records why, where that is said', async () => {
    const ids = await giveUpEmails(2)
    expect((await discard(ids[0]!, { reason: 'it was sent by hand' })).statusCode).toBe(204)
    expect((await discard(ids[1]!)).statusCode).toBe(204)
    const actions = await api.prisma.jobAction.findMany({
      where: { workId: { in: ids }, action: 'discard' },
      select: { workId: true, reason: true },
    })
    expect(Object.fromEntries(actions.map((a) => [a.workId, a.reason]))).toEqual({
      [ids[0]!]: 'it was sent by hand',
      [ids[1]!]: null,
    })
    expectInvalid(await discard(ids[0]!, { reason: '' }), ['body.reason'])
  })

  it('also that of a job which is not in the catalogue any more', async () => {
    const [id] = await giveUp(formerJob, {})
    expect((await discard(id!)).statusCode).toBe(204)
  })
})

describe('GET /api/jobs/runs/dead-letters', () => {
  const count = (query: string) =>
    api.as('admin', { method: 'GET', url: `/api/jobs/runs/dead-letters?${query}` })

  it('counts each that has an attempt which matches once, and refuses what is no filter', async () => {
    const [first, second] = await giveUpEmails(3)
    await giveUpRender()
    for (const [workId, errorCode] of [
      [first, 'smtp_down'],
      [first, 'timeout'],
      [second, 'smtp_down'],
    ])
      await api.prisma.$executeRaw`
        insert into "JobRun" ("id", "name", "status", "errorCode", "trigger", "workerId", "startedAt", "endedAt", "workId")
        values (gen_random_uuid(), 'dispatchEmail', 'failed', ${errorCode}, 'queue', 'w1', now(), now(), ${workId}::uuid)`
    expect((await count('name=dispatchEmail')).json()).toEqual({ count: 2, isCut: false })
    expect((await count('errorCode=timeout')).json()).toEqual({ count: 1, isCut: false })
    expect((await count('name=renderInvoicePdf')).json()).toEqual({ count: 0, isCut: false })
    expectInvalid(await count('outcome=sad'), ['query.outcome'])
    expectInvalid(await count('minDurationMs=5&maxDurationMs=4'), ['query.maxDurationMs'])
  })
})

it('is no job: what is asked of a job of that name is refused', async () => {
  const ticks = await api.as('admin', { method: 'GET', url: `${URL}/ticks` })
  expect(expectProblem(ticks, 404).detail).toContain('no job with this name')
  const payload = { reason: 'why' }
  const run = await api.as('admin', { method: 'POST', url: `${URL}/run`, payload })
  expect(expectProblem(run, 404).detail).toContain('no job with this name')
})
