import { randomUUID } from 'node:crypto'
import { Prisma } from '@roundsman/db'
import { emptyQueue, emptyTables, HOLD_RUNS_SQL, openForTests, setWork } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { cleanupI18nCache, dispatchEmail, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)
const FIRST = 'admin@example.com'

beforeEach(async () => {
  await emptyQueue(api.prisma)
  await emptyTables(
    api.prisma,
    '"JobRun", "JobClaim", "JobCancel", "JobAction", "JobSchedule", "JobQueue"',
  )
})

interface Request {
  method: 'POST' | 'DELETE'
  url: string
  payload: object
}
type Act = (id: string) => Request

const post = (url: string, payload: object = {}): Request => ({
  method: 'POST',
  url: `/api${url}`,
  payload: { reason: 'a reason', ...payload },
})

const ofRun = {
  cancel: (id) => post(`/jobs/runs/${id}/cancel`),
  approve: (id) => post(`/jobs/runs/${id}/approve`),
  again: (id) => post(`/jobs/runs/${id}/run-again`),
} satisfies Record<string, Act>
const ofLetter = {
  retry: (id) => post(`/jobs/dead-letters/${id}/redrive`),
  discard: (id) => ({ ...post(`/jobs/dead-letters/${id}`), method: 'DELETE' }),
} satisfies Record<string, Act>
const ofJob = {
  pause: () => post(`/jobs/${cleanupI18nCache.name}/pause`),
  resume: () => post(`/jobs/${cleanupI18nCache.name}/resume`),
  pauseQueue: () => post(`/jobs/${cleanupI18nCache.name}/queue/pause`),
  resumeQueue: () => post(`/jobs/${cleanupI18nCache.name}/queue/resume`),
} satisfies Record<string, Act>

async function makeRun(run: Partial<Prisma.JobRunCreateManyInput>): Promise<string> {
  const id = randomUUID()
  const startedAt = new Date()
  await api.prisma.jobRun.create({
    data: {
      id,
      name: cleanupI18nCache.name,
      status: 'failed',
      trigger: 'schedule',
      workerId: 'worker-1',
      startedAt,
      endedAt: run.status === 'running' ? null : startedAt,
      ...run,
    },
  })
  if (run.status === 'running') await api.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
  return id
}

const running = () => makeRun({ status: 'running' })
const succeeded = () => makeRun({ status: 'success' })
const blocked = () => {
  const details = { error: { code: 'guard_blocked', message: '' }, guard: { due: 5, allowed: 1 } }
  return makeRun({ details, errorCode: 'guard_blocked' })
}
const waiting = async () =>
  (await api.jobsClient.enqueueNow(dispatchEmail, { emailId: randomUUID() })).workId
async function letter(): Promise<string> {
  const workId = await waiting()
  await setWork(api.prisma, workId, 'failed', { code: 'smtp_down', message: 'No answer' })
  return workId
}
async function cancelledRun(): Promise<string> {
  const id = await running()
  await api.as('admin', ofRun.cancel(id))
  await api.prisma.$executeRaw`delete from "JobClaim"`
  await api.prisma.jobRun.update({
    where: { id },
    data: { status: 'failed', endedAt: new Date(), errorCode: 'cancelled' },
  })
  return id
}
const schedule = (isPaused: boolean) => async () => {
  await api.prisma.jobSchedule.create({
    data: {
      name: cleanupI18nCache.name,
      cron: '0 3 * * *',
      timeZone: 'UTC',
      cursor: new Date(),
      ...(isPaused && { pausedAt: new Date(), pausedBy: 'somebody' }),
    },
  })
  return ''
}
const pausedQueue = async () => {
  await schedule(false)()
  await api.prisma
    .$executeRaw`insert into "JobQueue" ("name", "pausedBy") values (${cleanupI18nCache.name}, 'x')`
  return ''
}

const CASES: [
  title: string,
  make: () => Promise<string>,
  first: Act | null,
  second: Act,
  action: string,
  status: number,
][] = [
  ['cancels a run under way', running, ofRun.cancel, ofRun.cancel, 'cancel', 202],
  [
    'cancels a run that was cancelled and has ended',
    cancelledRun,
    null,
    ofRun.cancel,
    'cancel',
    409,
  ],
  ['approves a run', blocked, ofRun.approve, ofRun.approve, 'approve', 409],
  ['runs a run again', succeeded, ofRun.again, ofRun.again, 'run', 202],
  ['retries a dead letter', letter, ofLetter.retry, ofLetter.retry, 'redrive', 404],
  ['retries a discarded one', letter, ofLetter.discard, ofLetter.retry, 'discard', 404],
  ['discards a retried one', letter, ofLetter.retry, ofLetter.discard, 'redrive', 404],
  ['discards one', letter, ofLetter.discard, ofLetter.discard, 'discard', 404],
  ['pauses a schedule', schedule(false), ofJob.pause, ofJob.pause, 'pause', 409],
  ['resumes a schedule', schedule(true), ofJob.resume, ofJob.resume, 'resume', 409],
  ['pauses a queue', schedule(false), ofJob.pauseQueue, ofJob.pauseQueue, 'pauseQueue', 409],
  ['resumes a queue', pausedQueue, ofJob.resumeQueue, ofJob.resumeQueue, 'resumeQueue', 409],
]

describe('whoever comes second', () => {
  it.each(CASES)(
    'learns who was faster, and when: %s',
    async (_, make, first, second, action, status) => {
      const id = await make()
      const { statusCode } = first === null ? { statusCode: 200 } : await api.as('admin', first(id))
      expect(statusCode).toBeLessThan(300)
      const response = await api.as('owner', second(id))
      expect(response.statusCode).toBe(status)
      const { earlier } = response.json()
      const [recorded] = await api.prisma.$queryRaw<{ at: Date }[]>`
      select "at" from "JobAction" where "action" = ${action} and "actor" = ${FIRST}`
      expect(earlier).toEqual({
        ...{ action, actor: FIRST, at: recorded!.at.toISOString(), reason: 'a reason' },
      })
    },
  )

  it.each([
    ['a run that has ended by itself', succeeded, ofRun.cancel, 409],
    ['a dead letter that nobody knows', async () => randomUUID(), ofLetter.retry, 404],
    ['a run that nobody has done again', succeeded, ofRun.again, 202],
  ])('learns of nobody where nobody was: %s', async (_, make, act, status) => {
    const response = await api.as('owner', act(await make()))
    expect(response.statusCode).toBe(status)
    expect(response.json()).not.toHaveProperty('earlier')
  })

  it('learns of somebody who did it to many', async () => {
    const id = await letter()
    await api.prisma.$executeRaw`delete from "JobDeadLetter" where "id" = ${id}::uuid`
    await api.prisma.$executeRaw`
      insert into "JobAction" ("action", "name", "actor", "reason", "pieces")
      values ('discard', 'dispatchEmail', ${FIRST}, 'all of them', array[${id}::uuid])`
    const { earlier } = (await api.as('owner', ofLetter.retry(id))).json<{ earlier: object }>()
    expect(earlier).toMatchObject({ action: 'discard', actor: FIRST, reason: 'all of them' })
  })

  it('does not take for it what was done to other work', async () => {
    const [mine, other] = [await blocked(), await blocked()]
    await api.as('admin', ofRun.approve(other))
    const approved = await api.as('admin', ofRun.approve(mine))
    const { workId } = approved.json<{ workId: string }>()
    // The approval names this work as what it has made.
    const { statusCode, ...response } = await api.as('owner', ofLetter.retry(workId))
    expect(statusCode).toBe(404)
    expect(JSON.parse(response.body)).not.toHaveProperty('earlier')
  })
})

it('who pauses a queue learns that a claim which began before may still start work', async () => {
  const { name } = cleanupI18nCache
  const pause = async () => (await api.as('owner', ofJob.pauseQueue())).json<object>()
  const meanwhile = await api.prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`lock table "JobClaim" in row exclusive mode`
      return await pause()
    },
    { timeout: 30_000 },
  )
  expect(meanwhile).toEqual({ name, queuePaused: true, pausing: true })
  await api.as('owner', ofJob.resumeQueue())
  expect(await pause()).toEqual({ name, queuePaused: true })
})
