import { createDatabaseClient } from '@roundsman/db'
import { defineJob, defineSignal, JobError } from '@roundsman/engine'
import { openTestJobs } from '@roundsman/engine/testing'
import { createTestDatabase, openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createFetchHandler } from '../../src/createFetchHandler.ts'

const order = defineJob({
  name: 'order',
  retry: { limit: 0 },
  steps: {
    reserve: {},
    pause: {},
    charge: { effect: 'once', result: z.strictObject({ receipt: z.number() }).nullable() },
    mail: {},
  },
})

const approved = defineSignal({ name: 'approved', payload: z.strictObject({ by: z.string() }) })
const part = defineJob({
  name: 'part',
  payload: z.strictObject({ part: z.int() }),
  label: (payload) => `Part ${payload.part}`,
  retry: { limit: 0 },
})
const review = defineJob({ name: 'review', steps: { parts: {}, approval: { signal: approved } } })

/** What the mail server does, and returns. */
let sendMail = () => {}
let mailed: object | null = null
/** How the charge fails; null: it does not. */
let charged: string | null = null
const api = openForTests(async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  const prisma = createDatabaseClient({
    url,
    applicationName: 'test',
    onPoolError: () => undefined,
  })
  const test = await openTestJobs({
    databaseUrl: url,
    client: prisma,
    jobs: [order, review, part],
    handlers: {
      async review({ step }) {
        const parts = [1, 2, 3].map((one) => ({ part: one }))
        await step.map('parts', part, parts, { onFailure: 'collect' })
        await step.waitFor('approval', approved, { key: 'o1' })
      },
      part({ payload }) {
        if (payload.part === 2) throw new JobError('no_such_part', 'There is no second part')
        return Promise.resolve()
      },
      async order({ step }) {
        await step.run('reserve', () => 'x'.repeat(2_000), { item: 'a' })
        await step.sleep('pause', { hours: 1 })
        await step.run('charge', (): null => {
          if (charged === null) return null
          throw new Error(charged)
        })
        await step.run('mail', () => {
          sendMail()
          return mailed
        })
      },
    },
  })
  const handle = createFetchHandler({
    ...{ client: test, jobs: [order, review, part], consolePath: null },
    authorize: ({ headers }) => ({
      actor: 'olga@example.com',
      ...{ view: true, act: true, payloads: headers.get('x-user') === 'owner' },
    }),
  })
  return {
    test,
    prisma,
    async send(path: string, body?: object, user = 'owner') {
      const response = await handle(
        new Request(`http://127.0.0.1/api/jobs/${path}`, {
          method: body === undefined ? 'GET' : 'POST',
          headers: { 'x-user': user, 'content-type': 'application/json' },
          ...(body && { body: JSON.stringify(body) }),
        }),
      )
      return { status: response.status, body: (await response.json()) as Body }
    },
    async close() {
      await handle.close()
      await test.close()
      await prisma.$disconnect()
      await drop()
    },
  }
})
// oxlint-disable-next-line typescript/no-explicit-any -- a test says what it expects of it
type Body = any

const reason = 'asked the bank'
let workId = ''
const steps = async (user?: string) =>
  (await api.send(`work/${workId}/steps`, undefined, user)).body
const answer = (body: object) => api.send(`work/${workId}/steps/answer`, { reason, ...body })

beforeEach(async () => {
  sendMail = () => {}
  mailed = null
  charged = 'socket hang up'
  await api.test.reset()
  workId = (await api.prisma.$transaction((tx) => api.test.enqueue(tx, order, {}))).workId
  await api.test.drain()
  await api.test.advance({ hours: 1 })
  await api.test.drain()
})

describe('GET /api/jobs/work/:workId/steps', () => {
  it('lists what has ended, then what is open, and names the steps to come', async () => {
    expect(await steps()).toEqual({
      state: 'waiting',
      names: ['reserve', 'pause', 'charge', 'mail'],
      steps: [
        expect.objectContaining({
          ...{ name: 'reserve', item: 'a', kind: 'run', state: 'done', attempts: 1 },
          ...{ hasResult: true, error: null, answer: null },
        }),
        expect.objectContaining({ name: 'pause', kind: 'sleep', state: 'done', attempts: 0 }),
        expect.objectContaining({
          ...{ name: 'charge', state: 'inDoubt', attempts: 1, endedAt: null },
          error: { code: 'in_doubt', message: expect.stringContaining('socket hang up') as string },
        }),
      ],
    })
  })

  it('shows results to nobody, and messages to those who may see payloads', async () => {
    await answer({ step: 'charge', happened: true, result: { receipt: 777 } })
    for (const user of ['owner', 'admin']) {
      const listed = await steps(user)
      expect(JSON.stringify(listed)).not.toMatch(/receipt|xxx/)
      expect(listed.steps[2]).toMatchObject({ hasResult: true })
    }
  })

  it('answers 404 where there is no such work', async () => {
    const unknown = '01890000-0000-7000-8000-000000000001'
    expect((await api.send(`work/${unknown}/steps`)).status).toBe(404)
  })
})

describe('POST /api/jobs/work/:workId/steps/payload', () => {
  const look = (body: object, user?: string) => api.send(`work/${workId}/steps/payload`, body, user)

  it('shows what a step has got, masked, and records each look', async () => {
    mailed = { to: 'ada@secret.example', password: 'hunter2', n: 1 }
    await answer({ step: 'charge', happened: false })
    charged = null
    await api.test.drain()
    expect(await look({ step: 'mail' })).toEqual({
      status: 200,
      body: {
        payload: {
          to: expect.not.stringContaining('secret') as string,
          password: '[redacted]',
          n: 1,
        },
      },
    })
    expect(await look({ step: 'mail' }, 'admin')).toMatchObject({ status: 403 })
    expect(await look({ step: 'mail', item: 'b' })).toMatchObject({ status: 404 })
    expect(await look({ step: 'reserve', item: 'a' })).toMatchObject({ status: 200 })
    const looks = await api.prisma.$queryRawUnsafe(
      `select "workId", "actor", "reason" from "${api.test.schema}"."JobAction" where "action" = 'showPayload' order by "at"`,
    )
    expect(looks).toEqual([
      { workId, actor: 'olga@example.com', reason: 'result of mail' },
      { workId, actor: 'olga@example.com', reason: 'result of reserve a' },
    ])
  })
})

describe('POST /api/jobs/work/:workId/steps/answer', () => {
  it.each([
    [true, ['reserve done', 'pause done', 'charge done', 'mail done']],
    [false, ['reserve done', 'pause done', 'charge inDoubt']],
  ])('takes %s, goes on, and says who answered', async (happened, expected) => {
    expect(await answer({ step: 'charge', happened })).toEqual({
      ...{ status: 200, body: { answered: true } },
    })
    await api.test.drain()
    const { steps: found } = await steps()
    expect(found.map((one: Body) => `${one.name} ${one.state}`)).toEqual(expected)
    expect(found[2].answer).toEqual({
      ...{ actor: 'olga@example.com', reason, happened },
      at: expect.any(String) as string,
    })
    const again = await answer({ step: 'reserve', item: 'a', happened })
    expect(again.status).toBe(409)
  })

  it('refuses a second answer, and says who was faster', async () => {
    await answer({ step: 'charge', happened: true })
    expect(await answer({ step: 'charge', happened: false })).toMatchObject({
      status: 409,
      body: { earlier: { action: 'answerDoubt', actor: 'olga@example.com', reason } },
    })
  })

  it('refuses a result that the schema of the step refuses, so that it can be given again', async () => {
    const wrong = await answer({ step: 'charge', happened: true, result: { recipe: 7 } })
    expect(wrong).toMatchObject({ status: 400 })
    expect(wrong.body.detail).toContain('receipt')
    expect((await answer({ step: 'charge', happened: true, result: { receipt: 7 } })).status).toBe(
      200,
    )
    await api.test.drain()
    expect((await steps()).steps[2]).toMatchObject({ state: 'done', hasResult: true })
  })

  it('refuses a step that the work does not have', async () => {
    expect((await answer({ step: 'mail', happened: true })).status).toBe(404)
    expect((await answer({ step: 'charge' })).status).toBe(400)
  })
})

describe('a step with children', () => {
  beforeEach(async () => {
    workId = (await api.prisma.$transaction((tx) => api.test.enqueue(tx, review, {}))).workId
    await api.test.drain()
  })
  const list = (query: string) => api.send(`work/${workId}/steps/children?${query}`)

  it('says how many have ended and failed, and lists them page by page, by state', async () => {
    const counts = { job: 'part', count: 3, failed: 1, left: 0 }
    expect((await steps()).steps[0]).toMatchObject({ name: 'parts', children: counts })
    const first = (await list('step=parts&limit=2')).body
    expect(first).toMatchObject({
      ...counts,
      children: [
        { at: 0, label: 'Part 1', state: 'done', errorCode: null },
        { at: 1, label: 'Part 2', state: 'failed', errorCode: 'no_such_part' },
      ],
    })
    const second = (await list(`step=parts&limit=2&cursor=${first.nextCursor}`)).body
    expect([second.children[0].label, second.nextCursor]).toEqual(['Part 3', null])
    const failed = (await list('step=parts&state=failed')).body
    expect(failed.children.map(({ label }: Body) => label)).toEqual(['Part 2'])
    expect((await list('step=approval')).status).toBe(404)
  })

  it('is named by the explanation of each of them', async () => {
    const { children } = (await list('step=parts')).body
    const explained = await api.send(`work/${children[1].workId}/explain`)
    expect(explained.body.parent).toEqual({ workId, name: 'review', step: 'parts', item: '' })
    expect((await api.send(`work/${workId}/explain`)).body.parent).toBeNull()
  })
})

describe('POST /api/jobs/signals', () => {
  const send = (body: object) => api.send('signals', { signal: 'approved', reason, ...body })
  const approval = async () => (await steps()).steps.find(({ name }: Body) => name === 'approval')
  beforeEach(async () => {
    workId = (await api.prisma.$transaction((tx) => api.test.enqueue(tx, review, {}))).workId
    await api.test.drain()
  })

  it('ends the wait, and says who sent it, in the step and on record', async () => {
    expect(await approval()).toMatchObject({ state: 'waiting', answer: null })
    const given = { key: 'o1', id: 'r1', payload: { by: 'ada' } }
    expect(await send(given)).toEqual({ status: 200, body: { outcome: 'stored', id: 'r1' } })
    expect((await send(given)).body.outcome).toBe('duplicate')
    await api.test.drain()
    expect(await approval()).toMatchObject({
      ...{ state: 'done', hasResult: true },
      answer: { actor: 'olga@example.com', reason, happened: null },
    })
    expect(
      await api.prisma.$queryRawUnsafe(
        `select "action", "name", "workId", "actor", "reason" from "${api.test.schema}"."JobAction"`,
      ),
    ).toEqual([
      {
        ...{ action: 'signal', name: 'review', workId, actor: 'olga@example.com' },
        reason: `approved of o1; ${reason}`,
      },
    ])
  })

  it('names nobody where code has sent it', async () => {
    await api.test.signalNow(approved, { key: 'o1', id: 'r2', payload: { by: 'a webhook' } })
    await api.test.drain()
    expect((await approval()).answer).toMatchObject({ actor: null, reason: null })
  })

  it('refuses what the schema of the signal refuses, and says where', async () => {
    const refused = await send({ key: 'o1', payload: { by: 7 } })
    expect(refused).toMatchObject({
      status: 400,
      body: { detail: 'The payload does not fit the signal approved' },
    })
    expect(refused.body.errors[0].path).toContain('by')
    expect((await send({ key: 'o1' })).status).toBe(400)
    expect((await send({ key: 'ü'.repeat(101), payload: { by: 'ada' } })).status).toBe(400)
    expect(await approval()).toMatchObject({ state: 'waiting' })
  })

  it('takes a signal that no step declares, with any payload', async () => {
    const { status, body } = await send({ signal: 'other', key: 'o1', payload: [1] })
    expect([status, body.outcome]).toEqual([200, 'stored'])
    expect((await send({ signal: 'No name', key: 'o1' })).status).toBe(400)
  })
})

describe('POST /api/jobs/dead-letters/:workId/redrive', () => {
  const redrive = (from?: unknown) => api.send(`dead-letters/${workId}/redrive`, { reason, from })
  beforeEach(async () => {
    await answer({ step: 'charge', happened: true })
    sendMail = () => {
      throw new Error('no answer')
    }
    await api.test.drain()
  })

  it.each([
    [undefined, ['mail']],
    ['failure', ['mail']],
    [{ step: 'charge' }, ['charge', 'mail']],
    ['beginning', ['reserve a', 'pause', 'charge', 'mail']],
  ])('from %j says which steps are done again', async (from, expected) => {
    const { status, body } = await redrive(from)
    expect(status).toBe(200)
    expect(body.again.map((one: Body) => `${one.name} ${one.item}`.trim())).toEqual(expected)
  })

  it('refuses a step that has not ended', async () => {
    expect((await redrive({ step: 'reserve' })).status).toBe(409)
    expect((await redrive({ step: 'mail' })).status).toBe(200)
  })
})
