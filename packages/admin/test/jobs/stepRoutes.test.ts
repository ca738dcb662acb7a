import { createDatabaseClient } from '@roundsman/db'
import { defineJob } from '@roundsman/engine'
import { openTestJobs } from '@roundsman/engine/testing'
import { createTestDatabase, openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createFetchHandler } from '../../src/createFetchHandler.ts'

const order = defineJob({
  name: 'order',
  retry: { limit: 0 },
  steps: { reserve: {}, pause: {}, charge: { effect: 'once' }, mail: {} },
})

/** What the mail server does. */
let sendMail = () => {}
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
    jobs: [order],
    handlers: {
      async order({ step }) {
        await step.run('reserve', () => 'x'.repeat(2_000), { item: 'a' })
        await step.sleep('pause', { hours: 1 })
        await step.run('charge', () => {
          throw new Error('socket hang up')
        })
        await step.run('mail', () => sendMail())
      },
    },
  })
  const handle = createFetchHandler({
    ...{ client: test, jobs: [order], consolePath: null },
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
  await api.test.reset()
  workId = (await api.prisma.$transaction((tx) => api.test.enqueue(tx, order, {}))).workId
  await api.test.drain()
  await api.test.advance({ hours: 1 })
  await api.test.drain()
})

describe('GET /api/jobs/work/:workId/steps', () => {
  it('lists what has ended, then what is open, and names the steps to come', async () => {
    expect(await steps()).toEqual({
      names: ['reserve', 'pause', 'charge', 'mail'],
      steps: [
        expect.objectContaining({
          ...{ name: 'reserve', item: 'a', kind: 'run', state: 'done', attempts: 1 },
          ...{ result: null, isResultCut: true, error: null, answered: null },
        }),
        expect.objectContaining({ name: 'pause', kind: 'sleep', state: 'done', attempts: 0 }),
        expect.objectContaining({
          ...{ name: 'charge', state: 'inDoubt', attempts: 1, endedAt: null },
          error: { code: 'in_doubt', message: expect.stringContaining('socket hang up') as string },
        }),
      ],
    })
  })

  it('shows neither results nor messages to those who may not see payloads', async () => {
    await answer({ step: 'charge', happened: true, result: { receipt: 7 } })
    const charge = async (user: string) => (await steps(user)).steps[2]
    expect(await charge('owner')).toMatchObject({ result: { receipt: 7 } })
    expect(await charge('admin')).toMatchObject({ result: null, isResultCut: false })
    expect((await steps('admin')).steps[0]).toMatchObject({ result: null, isResultCut: false })
  })

  it('answers 404 where there is no such work', async () => {
    const unknown = '01890000-0000-7000-8000-000000000001'
    expect((await api.send(`work/${unknown}/steps`)).status).toBe(404)
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
    expect(found[2].answered).toEqual({
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

  it('refuses a step that the work does not have', async () => {
    expect((await answer({ step: 'mail', happened: true })).status).toBe(404)
    expect((await answer({ step: 'charge' })).status).toBe(400)
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
