import { Prisma, type JobRun } from '@roundsman/db'
import {
  emptyTables,
  expectInvalid,
  HOLD_RUNS_SQL,
  openForTests,
  QUEUE,
  useLivingWorkers,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type {
  ConsoleEnvironment,
  ConsoleJobDetail,
  ConsoleJobs,
  ConsoleOverview,
  ConsoleQueue,
  ConsoleWorkers,
  ConsoleSearch,
} from '../../src/contract.ts'
import { jobs, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)
useLivingWorkers(() => api.databaseUrl, 'other', 'w1')

beforeEach(async () => {
  await emptyTables(
    api.prisma,
    `"JobRun", "JobClaim", "JobTick", "JobSchedule", "JobWorker", "JobFormerWorker", "JobThrottle", "JobAction", ${QUEUE}`,
  )
})

const NOW = '2026-11-24T09:00:00.000Z'
const JOB = 'cleanupI18nCache'

async function get<Answer>(path: string): Promise<Answer> {
  const response = await api.as('admin', { method: 'GET', url: `/api/console/${path}` })
  expect(response.statusCode).toBe(200)
  return response.json<Answer>()
}
const minutesAgo = (minutes: number) => new Date(Date.parse(NOW) - minutes * 60_000)
async function addRun(data: Partial<Prisma.JobRunUncheckedCreateInput>): Promise<JobRun> {
  const run = await api.prisma.jobRun.create({
    data: { name: JOB, trigger: 'schedule', workerId: 'w1', ...data },
  })
  await api.prisma.$executeRaw(Prisma.raw(HOLD_RUNS_SQL))
  return run
}
const addFailure = (data: Partial<Prisma.JobRunUncheckedCreateInput>, code = 'broken') =>
  addRun({
    status: 'failed',
    errorCode: code,
    details: { error: { code, message: 'It broke', name: 'FeedError' } },
    ...data,
  })
const addSchedule = (data: Partial<Prisma.JobScheduleUncheckedCreateInput>) =>
  api.prisma.jobSchedule.create({
    data: {
      name: JOB,
      cron: '0 3 * * *',
      timeZone: 'UTC',
      cursor: new Date('2026-11-24T03:00:00Z'),
      ...data,
    },
  })
const kindsOf = ({ attention }: ConsoleOverview) => attention.map(({ kind }) => kind)

describe('the overview', () => {
  it('of an empty database says that no worker lives', async () => {
    const overview = await get<ConsoleOverview>('overview')
    expect(overview.attention).toMatchObject([
      {
        ...{ kind: 'noWorker', stage: 'stopped', jobs: [], since: null },
        text: 'No worker is running, so no job is scheduled or run.',
      },
    ])
    expect(overview.jobs).toEqual({ total: jobs.length, scheduled: 3, paused: 0, late: 0 })
    expect(overview.hours).toHaveLength(25)
    expect(overview.nextTicks).toHaveLength(3)
  })

  it('tells a worker that lives, by its lock, from one that was killed, and what it runs', async () => {
    const worker = await api.startWorker()
    try {
      await api.prisma.jobWorker.create({ data: { id: 'dead' } })
      const progress = { done: 1, total: 4 }
      const run = await addRun({ workerId: worker.id, progress, startedAt: minutesAgo(1) })

      const overview = await get<ConsoleOverview>('overview')
      expect(overview.workers).toMatchObject([
        {
          id: worker.id,
          isAlive: true,
          lanes: [{ name: JOB, inUse: 1, of: 1, oldest: { id: run.id, progress } }],
        },
        { id: 'dead', isAlive: false, lanes: [] },
      ])
      // It has started with none of the schedules.
      expect(overview.attention).toMatchObject([{ kind: 'noWorker', jobs: { length: 3 } }])
    } finally {
      await worker.stop()
    }
  })

  it('tells the last sign of any worker where none lives, of one that stopped as of one that was killed', async () => {
    const killed = (id: string, minutes: number, startedMinutes: number) =>
      api.prisma.jobWorker.create({
        data: {
          id,
          heartbeatAt: new Date(Date.now() - minutes * 60_000),
          startedAt: new Date(Date.now() - startedMinutes * 60_000),
        },
      })
    // The one that started last is not the one that was seen last.
    await killed('a', 20, 30)
    await killed('b', 5, 40)
    await killed('c', 90, 10)
    const { heartbeatAt } = await api.prisma.jobWorker.findUniqueOrThrow({ where: { id: 'b' } })
    expect((await get<ConsoleOverview>('overview')).attention).toMatchObject([
      { kind: 'noWorker', since: heartbeatAt.toISOString() },
    ])

    const worker = await api.startWorker()
    const clock = async () => {
      const [row] = await api.prisma.$queryRaw<[{ at: Date }]>`select clock_timestamp() as at`
      return row.at.getTime()
    }
    const before = await clock()
    await worker.stop()
    const after = await clock()
    const [item] = (await get<ConsoleOverview>('overview')).attention
    const lastSignMs = Date.parse(item?.since ?? '')
    expect(lastSignMs).toBeGreaterThanOrEqual(before - 1)
    expect(lastSignMs).toBeLessThanOrEqual(after + 1)
  })

  it('calls a schedule late whose tick nobody has decided, and not one that is paused', async () => {
    await addSchedule({ cursor: new Date('2026-11-23T03:00:00Z') })
    const worker = await api.startWorker()
    const late = async () => {
      const { attention } = await get<ConsoleOverview>('overview')
      return attention.filter(({ kind }) => kind === 'late')
    }
    expect(await late()).toMatchObject([
      { stage: 'waiting', jobs: [JOB], since: '2026-11-24T03:00:00.000Z' },
    ])
    await api.prisma.jobSchedule.update({
      where: { name_key: { name: JOB, key: '' } },
      data: { pausedAt: minutesAgo(1) },
    })
    const overview = await get<ConsoleOverview>('overview')
    expect(await late()).toEqual([])
    await worker.stop()
    expect(overview.jobs).toMatchObject({ paused: 1, late: 0 })
    expect(overview.nextTicks.map(({ name }) => name)).not.toContain(JOB)
  })

  it('tells when what waits will be caught up with, and when never', async () => {
    const sendReport = jobs.find(({ name }) => name === 'sendReport')!
    const items = Array.from({ length: 60 }, () => ({ payload: { to: 'a@example.com' } }))
    await api.prisma.$transaction((tx) => api.jobsClient.enqueueMany(tx, sendReport, items))
    await api.prisma.$executeRaw`update "JobWork" set "dueAt" = now() - interval '100 seconds'`
    const starts = Array.from({ length: 30 }, (_, n) => new Date(Date.now() - n * 1_000))
    for (const startedAt of starts) {
      await addRun({ name: 'sendReport', status: 'success', startedAt, endedAt: startedAt })
    }
    const overview = await get<ConsoleOverview>('overview')
    expect(overview.backlog).toMatchObject([{ name: 'sendReport', due: 60, isCut: false }])
    // 30 started within half a minute, and 60 wait.
    expect(overview.backlog[0]!.state).toMatch(/^caught up in (1 min|[5-9]\d s)$/)
    // That no worker lives says more than that work waits.
    expect(kindsOf(overview)).toEqual(['noWorker'])
    // A worker that lives, but takes the work of other jobs only.
    await api.prisma.$executeRaw`
      insert into "JobWorker" ("id", "lanes") values ('other', '{"other": 1}')`
    expect((await get<ConsoleOverview>('overview')).backlog[0]).toMatchObject({
      state: 'no worker takes it',
      isStuck: true,
    })
    const page = (await get<ConsoleQueue>('queue')).jobs.find(({ name }) => name === 'sendReport')
    expect(page).toMatchObject({ isUntaken: true, backlog: { isStuck: true } })
    const { queue } = await get<ConsoleJobDetail>('jobs/sendReport')
    expect(queue).toMatchObject({ isUntaken: true })
    await api.prisma.$executeRaw`delete from "JobWorker"`
    await api.jobsClient.pauseQueue('sendReport', { actor: 'ada@example.com', reason: 'x' })
    expect((await get<ConsoleOverview>('overview')).backlog[0]).toMatchObject({ state: 'paused' })
    const { jobs: listed } = await get<ConsoleJobs>('jobs')
    expect(listed.find(({ name }) => name === 'sendReport')).toMatchObject({
      queuePaused: { by: 'ada@example.com', reason: 'x' },
    })
    await api.jobsClient.resumeQueue('sendReport', { actor: 'ada@example.com', reason: 'x' })
  })

  it('counts all dead letters, and names the first', async () => {
    await api.prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "failedAt", "errorCode", "errorMessage")
      select gen_random_uuid(), 'sendReport', 2, '{}', timestamptz '2026-11-24T08:00:00Z' + n * interval '1 second', 'code' || n, ''
      from generate_series(1, 101) n`
    expect((await get<ConsoleOverview>('overview')).attention).toContainEqual(
      expect.objectContaining({
        ...{ kind: 'deadLetters', jobs: ['sendReport'], count: 101, isCut: false },
        since: '2026-11-24T08:00:01.000Z',
      }),
    )
  })

  it('shows a run that its guard has blocked, until it is approved', async () => {
    const details = { error: { code: 'guard_blocked', message: '' }, guard: { due: 1_234 } }
    const blocked = await addRun({
      status: 'failed',
      errorCode: 'guard_blocked',
      details,
      startedAt: minutesAgo(9),
      endedAt: minutesAgo(8),
    })
    expect((await get<ConsoleOverview>('overview')).attention).toContainEqual(
      expect.objectContaining({
        ...{ kind: 'blocked', jobs: [JOB], runId: blocked.id, count: 1_234 },
        since: minutesAgo(8).toISOString(),
        text: `A run of ${JOB} would change 1,234 rows, more than its guard allows, and waits for an approval.`,
      }),
    )
    await api.prisma.jobRun.update({
      where: { id: blocked.id },
      data: { approvedAt: minutesAgo(1) },
    })
    expect(kindsOf(await get<ConsoleOverview>('overview'))).toEqual(['noWorker'])
  })
})

it('the header says where one is, and not as whom the database is asked', async () => {
  const environment = await get<ConsoleEnvironment>('environment')
  const { hostname, port, pathname } = new URL(api.databaseUrl)
  expect(environment).toEqual({
    name: 'test',
    isProduction: false,
    version: null,
    database: { host: `${hostname}:${port}`, name: pathname.slice(1) },
  })
})

describe('the jobs', () => {
  it('come with their schedules in words, their last ticks and their last runs', async () => {
    await addSchedule({})
    const workId = crypto.randomUUID()
    const run = await addRun({
      status: 'success',
      workId,
      startedAt: minutesAgo(360),
      endedAt: minutesAgo(359),
      details: { cleaned: 7 },
    })
    await api.prisma.jobTick.createMany({
      data: [
        {
          name: JOB,
          scheduledFor: new Date('2026-11-23T03:00:00Z'),
          outcome: 'missed',
          reason: 'nobody',
          workerId: 'w1',
        },
        {
          name: JOB,
          scheduledFor: new Date('2026-11-24T03:00:00Z'),
          outcome: 'enqueued',
          workId,
          workerId: 'w1',
        },
      ],
    })
    const { jobs: listed } = await get<ConsoleJobs>('jobs')
    expect(listed.map(({ name }) => name)).toEqual(jobs.map(({ name }) => name))
    const brief = {
      id: run.id,
      status: 'success',
      startedAt: run.startedAt.toISOString(),
      endedAt: run.endedAt?.toISOString(),
    }
    expect(listed.find(({ name }) => name === JOB)).toMatchObject({
      schedule: { words: 'At 03:00', nextAt: '2026-11-25T03:00:00.000Z', lateMs: null },
      paused: null,
      lastRun: brief,
      ticks: [
        {
          scheduledFor: '2026-11-23T03:00:00.000Z',
          outcome: 'missed',
          reason: 'nobody',
          run: null,
        },
        { scheduledFor: '2026-11-24T03:00:00.000Z', outcome: 'enqueued', run: brief },
      ],
      recentRuns: [{ ...brief, durationMs: 60_000, cleaned: 7 }],
      takesPayload: false,
    })
    expect(listed.find(({ name }) => name === 'sendReport')).toMatchObject({
      schedule: null,
      takesPayload: true,
    })
  })

  it('come with their last runs from the oldest on, in whatever order these were written', async () => {
    const ids = new Map<number, string>()
    for (const minutes of [20, 40, 10, 30]) {
      const at = { startedAt: minutesAgo(minutes), endedAt: minutesAgo(minutes) }
      ids.set(minutes, (await addRun({ status: 'success', ...at })).id)
    }
    const { jobs: listed } = await get<ConsoleJobs>('jobs')
    const job = listed.find(({ name }) => name === JOB)
    const inOrder = [40, 30, 20, 10].map((minutes) => ids.get(minutes))
    expect(job?.recentRuns.map(({ id }) => id)).toEqual(inOrder)
    expect(job?.lastRun?.id).toBe(ids.get(10))
  })

  it('one comes with its calendar, its durations and the ticks to come', async () => {
    for (const minutes of [10, 20, 30]) {
      await addRun({
        status: 'success',
        startedAt: minutesAgo(minutes),
        endedAt: minutesAgo(minutes - minutes / 10),
        ...(minutes === 20 && { details: { cleaned: 7, by: 'hand' } }),
      })
    }
    await addRun({
      status: 'failed',
      errorCode: 'broken',
      startedAt: minutesAgo(1_500),
      endedAt: minutesAgo(1_500),
    })
    const detail = await get<ConsoleJobDetail>(`jobs/${JOB}`)
    expect(detail.days).toEqual([
      { date: '2026-11-23', success: 0, failed: 1, stopped: 0 },
      {
        date: '2026-11-24',
        success: 3,
        failed: 0,
        stopped: 0,
      },
    ])
    expect(detail.hours.map(({ from, success, failed }) => [from, success, failed])).toEqual([
      ['2026-11-23T08:00:00.000Z', 0, 1],
      ['2026-11-24T08:00:00.000Z', 3, 0],
    ])
    expect(detail.counted).toMatchObject([{ status: 'success', counts: { cleaned: 7 } }])
    expect(detail.duration).toMatchObject({ runs: 4, p50Ms: 90_000 })
    expect(detail.upcoming).toHaveLength(5)
  })
})

describe('the queue', () => {
  it('counts what waits, what is delayed, what runs, and what was given up', async () => {
    const { prisma, jobsClient } = api
    const sendReport = jobs.find(({ name }) => name === 'sendReport')!
    await prisma.$transaction(async (tx) => {
      for (const startAfter of [undefined, undefined, new Date(Date.now() + 3_600_000)]) {
        const options = startAfter ? { startAfter } : {}
        await jobsClient.enqueue(tx, sendReport, { to: 'a@example.com' }, options)
      }
    })
    await prisma.$executeRaw`
      insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage")
      values (gen_random_uuid(), 'sendReport', 2, '{}', 'gone', '')`
    await prisma.$executeRaw`
      insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
      values (gen_random_uuid(), 'sendReport', 'w', now(), now() + interval '1 hour', array[gen_random_uuid()], array[now()])`
    await addRun({
      name: 'sendReport',
      status: 'success',
      startedAt: minutesAgo(3),
      endedAt: minutesAgo(3),
    })
    const late = { startedAt: minutesAgo(4), endedAt: minutesAgo(4) }
    await addFailure({ name: 'sendReport', ...late }, 'expired')

    const queue = await get<ConsoleQueue>('queue')
    expect(queue.jobs.find(({ name }) => name === 'sendReport')).toEqual({
      name: 'sendReport',
      waiting: 3,
      delayed: 1,
      active: 1,
      deadLetters: 1,
      oldestWaitingAt: expect.any(String),
      completedLastHour: 1,
      failedLastHour: 0,
      expiredLastHour: 1,
      queuePaused: null,
      isUntaken: false,
      isOrphaned: false,
      backlog: null,
      isWaitingCut: false,
      areDeadLettersCut: false,
    })
    const detail = await get<ConsoleJobDetail>('jobs/sendReport')
    expect(detail.queue).toMatchObject({ name: 'sendReport', waiting: 3, deadLetters: 1 })
    expect(queue.throughput).toHaveLength(60)
    expect(queue.throughput.find(({ from }) => from === minutesAgo(3).toISOString())).toMatchObject(
      {
        success: 1,
        failed: 0,
        stopped: 0,
      },
    )
    const overview = await get<ConsoleOverview>('overview')
    expect(kindsOf(overview)).toContain('deadLetters')
  })
})

describe('the workers', () => {
  it('come with the jobs that they run, the one of which they run most first', async () => {
    await api.prisma.jobWorker.create({
      data: { id: 'w1', startedAt: minutesAgo(60) },
    })
    const names = jobs.slice(0, 3).map(({ name }) => name)
    for (const [at, count] of [2, 1, 3].entries())
      for (let n = 0; n < count; n++) {
        await addRun({ name: names[at]!, startedAt: minutesAgo(9 - at) })
      }
    const { workers } = await get<ConsoleWorkers>('workers')
    expect(workers).toMatchObject([
      {
        lanes: [
          { name: names[2], inUse: 3 },
          { name: names[0], inUse: 2 },
          { name: names[1], inUse: 1 },
        ],
      },
    ])
  })

  it('come with their version, and since when they run what they run', async () => {
    const worker = await api.startWorker('b1946ac')
    try {
      const workerId = worker.id
      // The worker's times are the database's, and the API's clock is long behind.
      await api.prisma.jobWorker.update({
        where: { id: workerId },
        data: { startedAt: minutesAgo(60) },
      })
      await addRun({ workerId, startedAt: minutesAgo(1) })
      const { workers } = await get<ConsoleWorkers>('workers')
      expect(workers).toMatchObject([
        {
          id: workerId,
          isAlive: true,
          version: 'b1946ac',
          lanes: [{ name: JOB, inUse: 1, oldest: { startedAt: minutesAgo(1).toISOString() } }],
        },
      ])
    } finally {
      await worker.stop()
    }
  })

  it('that have stopped are found', async () => {
    const [startedAt, endedAt] = [minutesAgo(300), minutesAgo(200)]
    await api.prisma.$executeRaw`
      insert into "JobFormerWorker" ("id", "version", "startedAt", "endedAt") values ('stopped', '1.2.3', ${startedAt}, ${endedAt})`
    const { workers } = await get<ConsoleSearch>('search?q=topp')
    expect(workers).toEqual(['stopped'])
  })
})

describe('the search', () => {
  const search = (q: string) =>
    get<ConsoleSearch>(`search?${new URLSearchParams({ q }).toString()}`)
  const FOUND = ['jobs', 'schedules', 'keys', 'work', 'labels', 'runs', 'errors', 'workers']
  const NOTHING = { ...Object.fromEntries(FOUND.map((group) => [group, []])), isCut: false }

  it('finds jobs, runs by their ids, errors by code and text, and workers', async () => {
    const stack = 'at readFeed (src/feed.ts:3:4)'
    const error = { code: 'ECONNREFUSED', message: 'connect 10.0.0.7:443 refused', stack }
    const details = { error }
    const failed = await addRun({
      status: 'failed',
      errorCode: 'ECONNREFUSED',
      endedAt: new Date(NOW),
      details,
      workId: '01a20e26-367c-766a-a085-72e882269712',
    })
    await addRun({ status: 'failed', errorCode: 'ECONNREFUSED', endedAt: new Date(NOW), details })
    await addRun({ status: 'failed', errorCode: 'cancelled', endedAt: new Date(NOW) })
    await api.prisma.jobWorker.create({ data: { id: 'Host-7:1' } })
    const found = { id: failed.id, name: JOB, outcome: 'failed', startedAt: expect.any(String) }

    expect((await search(' I18N ')).jobs.map(({ name }) => name)).toEqual([JOB])
    for (const id of [failed.id, failed.id.slice(0, 18), failed.workId!, '01a20e26-367c']) {
      expect({ id, runs: (await search(id)).runs }).toEqual({ id, runs: [found] })
    }
    for (const text of ['econnref', 'ECONNREFUSED', 'readfeed']) {
      expect((await search(text)).errors).toEqual([
        {
          code: 'ECONNREFUSED',
          count: 2,
          isCut: false,
          thrown: stack,
          message: null,
          lastAt: expect.stringMatching(/Z$/),
        },
      ])
    }
    const work = { status: 'success', endedAt: new Date(NOW) } as const
    const addLabelled = async (label: string, startedAt = minutesAgo(1)) => {
      const run = await addRun({ ...work, startedAt })
      await api.prisma
        .$executeRaw`update "JobRun" set "label" = ${label} where "id" = ${run.id}::uuid`
      return run
    }
    await addLabelled('Order 100 %')
    const last = await addLabelled('Order 100 %', minutesAgo(0))
    await addLabelled('Order 1000')
    for (const text of ['Order 100 %', 'order 100 %', '100 %']) {
      expect((await search(text)).labels).toEqual([
        {
          label: 'Order 100 %',
          run: {
            id: last.id,
            name: JOB,
            outcome: 'success',
            startedAt: last.startedAt.toISOString(),
          },
        },
      ])
    }
    expect((await search('Order')).labels.map(({ label }) => label).toSorted()).toEqual([
      'Order 100 %',
      'Order 1000',
    ])
    expect((await search('cancel')).errors).toMatchObject([{ code: 'cancelled', thrown: '' }])
    expect((await search('host-7')).workers).toEqual(['Host-7:1'])
    expect(await search('_')).toEqual(NOTHING)
    expect(await search('%%')).toEqual(NOTHING)
    expect(await search(' ')).toEqual(NOTHING)
    expect(await search('ffffff')).toEqual(NOTHING)
  })

  it('wants a text, and no more than one reads', async () => {
    for (const q of ['', 'x'.repeat(201), 'a\0b']) {
      const url = `/api/console/search?${new URLSearchParams({ q }).toString()}`
      expectInvalid(await api.as('admin', { method: 'GET', url }), ['query.q'])
    }
  })
})
