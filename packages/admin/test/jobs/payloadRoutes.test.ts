import { expectProblem, openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { dispatchEmail, openTestAdmin } from '../openTestAdmin.ts'

const UNKNOWN_ID = '00000000-0000-0000-0000-000000000000'

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await api.prisma.jobAction.deleteMany()
  await api.prisma.$executeRaw`delete from "JobWork"`
  await api.prisma.$executeRaw`delete from "JobDeadLetter"`
})

const look = (path: string, user: 'admin' | 'owner' = 'owner') =>
  api.as(user, { method: 'POST', url: `/api/jobs/${path}/payload` })
const fail = async (workId: string) => {
  const at = new Date()
  const failed = { status: 'failed', errorCode: 'broken', trigger: 'queue' } as const
  const run = { name: 'dispatchEmail', workerId: 'w', startedAt: at, endedAt: at, workId }
  return (await api.prisma.jobRun.create({ data: { ...run, ...failed } })).id
}
const actions = () =>
  api.prisma.jobAction.findMany({
    select: { action: true, name: true, actor: true, runId: true, workId: true },
  })

describe('a payload', () => {
  const emailId = crypto.randomUUID()
  const enqueue = async () => (await api.jobsClient.enqueueNow(dispatchEmail, { emailId })).workId

  it('is shown to whom the host lets look, and each look is on record and in the log', async () => {
    const workId = await enqueue()
    const response = await look(`work/${workId}`)
    expect([response.statusCode, response.json()]).toEqual([200, { payload: { emailId } }])
    expect(response.headers['cache-control']).toBe('no-store')
    const looked = { action: 'showPayload', name: 'dispatchEmail', actor: 'owner@example.com' }
    expect(await actions()).toEqual([{ ...looked, workId, runId: null }])
    expect(api.log).toContainEqual({ workId, userId: api.userIds.owner, msg: 'payload shown' })
    await look(`work/${workId}`)
    expect(await actions()).toHaveLength(2)
  })

  it('is that of a run whose work is to be retried, and the run tells who looked', async () => {
    const workId = await enqueue()
    const id = await fail(workId)
    expect((await look(`runs/${id}`)).json()).toEqual({ payload: { emailId } })
    const detail = await api.as('admin', { method: 'GET', url: `/api/jobs/runs/${id}` })
    expect(detail.json()).toMatchObject({
      workId,
      actions: [{ action: 'showPayload', actor: 'owner@example.com', reason: null }],
    })
  })

  it.each(['runs', 'work'])('is copied with changes, for new work: %s', async (kind) => {
    const workId = await enqueue()
    const of = kind === 'work' ? `work/${workId}` : `runs/${await fail(workId)}`
    const copy = (payload: object, user: 'admin' | 'owner' = 'owner') =>
      api.as(user, {
        method: 'POST',
        url: `/api/jobs/${of}/run-again`,
        payload: { reason: 'Another one', payload },
      })
    const other = crypto.randomUUID()
    const made = await copy({ emailId: other })
    expect(made.statusCode).toBe(202)
    const found = await api.prisma.$queryRaw<{ id: string; payload: unknown }[]>`
      select "id"::text, "payload" from "JobWork" where "id" <> ${workId}::uuid`
    expect(found).toEqual([{ id: made.json().workId, payload: { emailId: other } }])
    expect(await actions()).toMatchObject([{ action: 'run', actor: 'owner@example.com' }])

    const refused = expectProblem(await copy({ emailId: 7 }), 400)
    expect(refused).toMatchObject({ errors: [{ path: 'body.payload.emailId' }] })
    expectProblem(await copy({ emailId: other }, 'admin'), 403)
    expect(await actions()).toHaveLength(1)
  })

  it.each(['runs', 'work'])('is refused to all others, and nobody has looked: %s', async (kind) => {
    const workId = await enqueue()
    const problem = expectProblem(await look(`${kind}/${workId}`, 'admin'), 403)
    expect(problem.detail).toBe('You may look at the jobs but not at payloads')
    expect(await actions()).toEqual([])
  })

  it('is refused by what became of it', async () => {
    expectProblem(await look(`work/${UNKNOWN_ID}`), 404)
    expectProblem(await look(`runs/${UNKNOWN_ID}`), 404)
    const workId = await enqueue()
    await api.prisma.$executeRaw`
      update "JobWork" set "payload" = jsonb_build_object('text', repeat('x', 70000))`
    expect(expectProblem(await look(`work/${workId}`), 409).detail).toContain(
      'more than 65,536 are not shown',
    )
    expect(expectProblem(await look(`runs/${await fail(UNKNOWN_ID)}`), 409).detail).toContain(
      'goes with the end',
    )
    expect(await actions()).toEqual([])
  })

  it('may be looked at by whom the console is told so', async () => {
    const access = async (user: 'admin' | 'owner') =>
      (await api.as(user, { method: 'GET', url: '/api/console/access' })).json()
    expect(await access('owner')).toMatchObject({ act: true, payloads: true })
    expect(await access('admin')).toMatchObject({ act: true, payloads: false })
  })
})
