import {
  emptyTables,
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  QUEUE,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { jobs, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await emptyTables(api.prisma, `"JobRun", "JobClaim", "JobTick", "JobSchedule", ${QUEUE}`)
})

const NOON = new Date('2026-11-24T12:00:00.000Z')

function post(path: string, payload?: object, role: 'admin' | 'owner' = 'admin') {
  return api.as(role, { method: 'POST', url: `/api/jobs/${path}`, ...(payload && { payload }) })
}

function get(path: string) {
  return api.as('admin', { method: 'GET', url: `/api/jobs${path}` })
}

/** Writes the schedule's row as a worker does when it starts. */
async function schedule(name: string, cron: string, timeZone = 'UTC'): Promise<void> {
  await api.prisma.jobSchedule.create({ data: { name, cron, timeZone, cursor: NOON } })
}

const readSchedule = (name: string) =>
  api.prisma.jobSchedule.findUnique({ where: { name_key: { name, key: '' } } })

describe('POST /api/jobs/:name/run', () => {
  it('puts into the queue what was asked for, with who asked and why', async () => {
    const response = await post('cleanupI18nCache/run', { reason: ' after the import ' }, 'owner')
    expect(response.statusCode).toBe(202)
    const { workId } = response.json()
    expect(await listQueue(api.prisma)).toEqual([
      {
        id: workId,
        name: 'cleanupI18nCache',
        state: 'created',
        data: {
          payload: {},
          trigger: 'manual',
          actor: 'owner@example.com',
          reason: ' after the import ',
          dryRun: false,
        },
      },
    ])
    // Only the worker that takes the work records a run.
    expect(await api.prisma.jobRun.count()).toBe(0)
    expect(api.log).toContainEqual(
      expect.objectContaining({
        msg: 'job run requested',
        name: 'cleanupI18nCache',
        workId,
        userId: api.userIds.owner,
      }),
    )
  })

  it('hands on a dry run and a payload', async () => {
    const payload = { to: 'a@example.com', pages: [1, 2] }
    const response = await post('sendReport/run', { reason: 'why', dryRun: true, payload })
    expect(response.statusCode).toBe(202)
    expect((await listQueue(api.prisma))[0]?.data).toMatchObject({
      payload,
      dryRun: true,
      actor: 'admin@example.com',
    })
  })

  it('does not know a job that is not in the catalogue, and lists those that are', async () => {
    for (const name of ['nothing', 'CleanupI18nCache', '__proto__', 'a%2Fb']) {
      const { detail } = expectProblem(await post(`${name}/run`, { reason: 'why' }), 404)
      for (const job of jobs) expect(detail).toContain(job.name)
    }
    expect(await listQueue(api.prisma)).toEqual([])
  })

  describe('refuses a payload that does not fit, with the places', () => {
    const cases: [payload: unknown, paths: string[]][] = [
      [undefined, ['body.payload.to']],
      [{ to: 'nobody' }, ['body.payload.to']],
      [
        { to: 'a@example.com', pages: [1, 'x', -1] },
        ['body.payload.pages.1', 'body.payload.pages.2'],
      ],
      [{ to: 'a@example.com', cc: 1, bcc: 2 }, ['body.payload.cc', 'body.payload.bcc']],
      // The job's schema takes it, and the database can't hold it.
      [{ to: 'a@example.com', note: 'a\0b' }, ['body.payload.note']],
      [{ to: 'a@example.com', note: { deep: ['\ud800'] } }, ['body.payload.note.deep.0']],
      [{ to: 'a@example.com', note: { 'a\0b': 1 } }, ['body.payload.note.a\ufffdb']],
    ]
    for (const [payload, paths] of cases) {
      it(JSON.stringify(payload) ?? 'none', async () => {
        expectInvalid(await post('sendReport/run', { reason: 'why', payload }), paths)
        expect(await listQueue(api.prisma)).toEqual([])
      })
    }

    it('one that is nested deeper than the database takes', async () => {
      const depth = 10_000
      const places = Array.from({ length: 63 }, () => '0')
      const response = await api.as('admin', {
        method: 'POST',
        url: '/api/jobs/sendReport/run',
        headers: { 'content-type': 'application/json' },
        payload: `{"reason":"why","payload":{"to":"a@example.com","note":${'['.repeat(depth)}${']'.repeat(depth)}}}`,
      })
      expectInvalid(response, [['body.payload.note', ...places].join('.')])
    })

    it('one whose number JSON cannot say once it is read', async () => {
      const response = await api.as('admin', {
        method: 'POST',
        url: '/api/jobs/sendReport/run',
        headers: { 'content-type': 'application/json' },
        payload: '{"reason":"why","payload":{"to":"a@example.com","note":[1,1e400]}}',
      })
      expectInvalid(response, ['body.payload.note.1'])
      expect(await listQueue(api.prisma)).toEqual([])
    })

    it('and a payload for a job that takes none', async () => {
      const payload = { reason: 'why', payload: { older: true } }
      expectInvalid(await post('cleanupI18nCache/run', payload), ['body.payload.older'])
    })
  })

  it('keeps what it takes as it was sent, whatever is in it', async () => {
    const payload = {
      to: 'a@example.com',
      note: { 'ключ \\u0000': ['🦉', null, 1.5, false, "';--"] },
    }
    expect((await post('sendReport/run', { reason: '🦉 "why"', payload })).statusCode).toBe(202)
    expect((await listQueue(api.prisma))[0]?.data).toMatchObject({ payload, reason: '🦉 "why"' })
  })
})

describe('POST /api/jobs/:name/pause and resume', () => {
  it('pause a schedule with who and why, and resume it', async () => {
    await schedule('cleanupI18nCache', '0 3 * * *')
    const paused = await post('cleanupI18nCache/pause', { reason: 'the disk is full' }, 'owner')
    expect([paused.statusCode, paused.json()]).toEqual([
      200,
      { name: 'cleanupI18nCache', paused: true },
    ])
    expect(await readSchedule('cleanupI18nCache')).toMatchObject({
      pausedAt: expect.any(Date),
      pausedBy: 'owner@example.com',
      pauseReason: 'the disk is full',
      cursor: NOON,
    })

    const resumed = await post('cleanupI18nCache/resume')
    expect([resumed.statusCode, resumed.json()]).toEqual([
      200,
      { name: 'cleanupI18nCache', paused: false },
    ])
    expect(await readSchedule('cleanupI18nCache')).toMatchObject({
      pausedAt: null,
      pausedBy: null,
      pauseReason: null,
      cursor: NOON,
    })
    expect(await listQueue(api.prisma)).toEqual([])
  })

  it('record why a schedule is resumed, where that is said', async () => {
    await schedule('cleanupI18nCache', '0 3 * * *')
    await api.prisma.jobAction.deleteMany()
    for (const body of [{ reason: 'the disk is empty again' }, {}, undefined]) {
      await post('cleanupI18nCache/pause', { reason: 'the disk is full' })
      expect((await post('cleanupI18nCache/resume', body)).statusCode).toBe(200)
    }
    const actions = await api.prisma.jobAction.findMany({
      where: { action: 'resume' },
      orderBy: { at: 'asc' },
    })
    expect(actions.map(({ reason }) => reason)).toEqual(['the disk is empty again', null, null])
    for (const body of [{ reason: ' ' }, { reason: 7 }]) {
      expectInvalid(await post('cleanupI18nCache/resume', body), ['body.reason'])
    }
  })

  it('conflict with what is so already, and leave it', async () => {
    await schedule('cleanupI18nCache', '0 3 * * *')
    const notPaused = expectProblem(await post('cleanupI18nCache/resume'), 409)
    expect(notPaused.detail).toContain('is not paused')

    await post('cleanupI18nCache/pause', { reason: 'first' }, 'owner')
    const before = await readSchedule('cleanupI18nCache')
    const second = expectProblem(await post('cleanupI18nCache/pause', { reason: 'second' }), 409)
    expect(second.detail).toContain('is paused already')
    expect(await readSchedule('cleanupI18nCache')).toEqual(before)
  })

  it('say whether a job is unknown, has no schedule, or is not scheduled yet', async () => {
    const cases = [
      ['nothing', 'There is no job with this name'],
      ['sendReport', 'sendReport has no schedule'],
      ['cleanupI18nCache', 'cleanupI18nCache is not scheduled yet'],
    ] as const
    for (const [name, detail] of cases) {
      for (const path of [`${name}/pause`, `${name}/resume`]) {
        const problem = expectProblem(await post(path, { reason: 'why' }), 404)
        expect(problem.detail).toContain(detail)
      }
    }
  })
})

describe('a reason', () => {
  const cases: [what: string, body: object | undefined, path: string][] = [
    ['no body', undefined, 'body'],
    ['none', {}, 'body.reason'],
    ['nothing', { reason: '' }, 'body.reason'],
    ['blanks', { reason: ' \n' }, 'body.reason'],
    ['too much', { reason: 'x'.repeat(501) }, 'body.reason'],
    ['a NUL', { reason: 'a\0b' }, 'body.reason'],
    ['half a character', { reason: '\ud83e' }, 'body.reason'],
    ['a number', { reason: 1 }, 'body.reason'],
    ['something else as well', { reason: 'why', force: true }, 'body.force'],
  ]
  const paths = [
    'cleanupI18nCache/run',
    'cleanupI18nCache/pause',
    'runs/01a20e26-367c-766a-a085-72e882269712/cancel',
    'runs/01a20e26-367c-766a-a085-72e882269712/approve',
  ]
  for (const [what, body, path] of cases) {
    it(`is not ${what}`, async () => {
      for (const address of paths) expectInvalid(await post(address, body), [path])
    })
  }

  it('has up to 500 characters', async () => {
    const response = await post('cleanupI18nCache/run', { reason: 'x'.repeat(500) })
    expect(response.statusCode).toBe(202)
  })
})

describe('GET /api/jobs', () => {
  async function list() {
    const response = await get('')
    expect(response.statusCode).toBe(200)
    return response.json().jobs as { name: string }[]
  }
  const find = async (name: string) => (await list()).find((job) => job.name === name)

  it('lists the catalogue in its order, also before any worker has started', async () => {
    const listed = await list()
    expect(listed.map(({ name }) => name)).toEqual(jobs.map(({ name }) => name))
    expect(listed.at(-1)).toEqual({
      name: 'sendReport',
      description: 'Sends a report.',
      schedule: null,
      paused: null,
      lastRun: null,
    })
    expect(await find('cleanupPreviewSessions')).toMatchObject({
      schedule: {
        cron: '*/15 * * * *',
        timeZone: 'UTC',
        missed: 'once',
        overlap: 'skip',
        // By the test's clock, where it is nine o'clock.
        nextRun: '2026-11-24T09:15:00.000Z',
      },
      paused: null,
      lastRun: null,
    })
  })

  it('shows a schedule as the workers follow it, whatever the catalogue says', async () => {
    await schedule('cleanupPreviewSessions', '30 8 * * *', 'America/New_York')
    expect(await find('cleanupPreviewSessions')).toMatchObject({
      schedule: {
        cron: '30 8 * * *',
        timeZone: 'America/New_York',
        nextRun: '2026-11-24T13:30:00.000Z',
      },
    })
    // A row from when the job still had a schedule.
    await schedule('sendReport', '* * * * *')
    expect(await find('sendReport')).toMatchObject({ schedule: null, paused: null })
  })

  it('shows who paused it and why, and no next run meanwhile', async () => {
    await schedule('cleanupI18nCache', '0 3 * * *')
    await post('cleanupI18nCache/pause', { reason: 'the disk is full' })
    const row = await readSchedule('cleanupI18nCache')
    expect(await find('cleanupI18nCache')).toMatchObject({
      schedule: { cron: '0 3 * * *', nextRun: null },
      paused: {
        at: row?.pausedAt?.toISOString(),
        by: 'admin@example.com',
        reason: 'the disk is full',
      },
    })
  })

  it('shows the last run of each, ended or not', async () => {
    const at = (minutes: number) => new Date(NOON.getTime() + minutes * 60_000)
    const run = { trigger: 'schedule', workerId: 'worker' } as const
    const ended = { ...run, status: 'success', endedAt: at(60) } as const
    const created = await api.prisma.jobRun.createManyAndReturn({
      data: [
        { ...ended, name: 'cleanupI18nCache', startedAt: at(3) },
        { ...ended, name: 'cleanupI18nCache', startedAt: at(1) },
        { ...ended, name: 'cleanupPreviewSessions', startedAt: at(4) },
        { ...run, name: 'cleanupPreviewSessions', startedAt: at(5) },
        { ...ended, name: 'of another product', startedAt: at(9) },
      ],
    })
    expect(await find('cleanupI18nCache')).toMatchObject({
      lastRun: {
        id: created[0]?.id,
        status: 'success',
        startedAt: '2026-11-24T12:03:00.000Z',
        endedAt: '2026-11-24T13:00:00.000Z',
      },
    })
    expect(await find('cleanupPreviewSessions')).toMatchObject({
      lastRun: {
        id: created[3]?.id,
        status: 'running',
        startedAt: '2026-11-24T12:05:00.000Z',
        endedAt: null,
      },
    })
    expect(await find('pruneJobRuns')).toMatchObject({ lastRun: null })
  })
})

describe('GET /api/jobs/:name/ticks', () => {
  const minute = (i: number) => new Date(NOON.getTime() + i * 60_000)

  async function addTicks(name: string, count: number): Promise<void> {
    await api.prisma.jobTick.createMany({
      data: Array.from({ length: count }, (_, i) => ({
        name,
        scheduledFor: minute(i),
        outcome: 'enqueued' as const,
        workerId: 'worker',
      })),
    })
  }

  it('shows what became of each', async () => {
    await api.prisma.jobTick.createMany({
      data: [
        {
          name: 'cleanupI18nCache',
          scheduledFor: minute(0),
          outcome: 'missed',
          reason: 'beyond the catch-up window',
          count: 250,
          through: minute(5),
          workerId: 'worker',
          createdAt: minute(7),
        },
        {
          name: 'cleanupI18nCache',
          scheduledFor: minute(6),
          outcome: 'enqueued',
          workId: '01a20e26-367c-766a-a085-72e882269712',
          workerId: 'worker',
          createdAt: minute(7),
        },
      ],
    })
    const response = await get('/cleanupI18nCache/ticks')
    expect(response.json()).toEqual({
      ticks: [
        {
          scheduledFor: '2026-11-24T12:06:00.000Z',
          outcome: 'enqueued',
          reason: null,
          count: 1,
          through: null,
          workId: '01a20e26-367c-766a-a085-72e882269712',
          createdAt: '2026-11-24T12:07:00.000Z',
        },
        {
          scheduledFor: '2026-11-24T12:00:00.000Z',
          outcome: 'missed',
          reason: 'beyond the catch-up window',
          count: 250,
          through: '2026-11-24T12:05:00.000Z',
          workId: null,
          createdAt: '2026-11-24T12:07:00.000Z',
        },
      ],
      nextCursor: null,
    })
  })

  it('leads from page to page, newest first, of that job only, while more come in', async () => {
    await addTicks('cleanupI18nCache', 25)
    await addTicks('cleanupPreviewSessions', 5)
    const seen: string[] = []
    let query = 'limit=10'
    for (let pages = 1; pages <= 3; pages += 1) {
      const { ticks, nextCursor } = (await get(`/cleanupI18nCache/ticks?${query}`)).json()
      seen.push(...ticks.map((tick: { scheduledFor: string }) => tick.scheduledFor))
      expect(nextCursor === null).toBe(pages === 3)
      query = `limit=10&cursor=${nextCursor}`
      await api.prisma.jobTick.create({
        data: {
          name: 'cleanupI18nCache',
          scheduledFor: minute(100 + pages),
          outcome: 'skipped',
          workerId: 'worker',
        },
      })
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => minute(24 - i).toISOString()))
  })

  it('shows 60 at a time unless told otherwise, and a last page that is full has no next', async () => {
    await addTicks('cleanupI18nCache', 61)
    const first = (await get('/cleanupI18nCache/ticks')).json()
    expect(first.ticks).toHaveLength(60)
    expect(first.nextCursor).not.toBeNull()
    const all = (await get('/cleanupI18nCache/ticks?limit=61')).json()
    expect([all.ticks.length, all.nextCursor]).toEqual([61, null])
  })

  it('has nothing for a job that never was due, and does not know one that never was', async () => {
    expect((await get('/sendReport/ticks')).json()).toEqual({ ticks: [], nextCursor: null })
    const { detail } = expectProblem(await get('/nothing/ticks'), 404)
    expect(detail).toContain('cleanupI18nCache')
  })

  it('still shows the ticks of a job that has left the catalogue', async () => {
    await addTicks('formerJob', 1)
    expect((await get('/formerJob/ticks')).json().ticks).toHaveLength(1)
  })

  const cursorOf = (text: string) => Buffer.from(text).toString('base64url')
  for (const [query, path] of [
    ['limit=0', 'query.limit'],
    ['limit=201', 'query.limit'],
    ['cursor=', 'query.cursor'],
    ['cursor=abc', 'query.cursor'],
    [`cursor=${cursorOf('2026-11-24T12:00:00.000Z')}x`, 'query.cursor'],
    [`cursor=${cursorOf('2026-02-30T12:00:00.000Z')}`, 'query.cursor'],
    [`cursor=${cursorOf('2026-13-24T12:00:00.000Z')}`, 'query.cursor'],
    [`cursor=${cursorOf('0000-11-24T12:00:00.000Z')}`, 'query.cursor'],
    [`cursor=${cursorOf('2026-11-24T12:00:00Z')}`, 'query.cursor'],
    ['page=2', 'query.page'],
  ] as const) {
    it(`refuses ${query}`, async () => {
      expectInvalid(await get(`/cleanupI18nCache/ticks?${query}`), [path])
    })
  }

  it('refuses a name that no table can hold', async () => {
    expectInvalid(await get('/a%00b/ticks'), ['params.name'])
    expectInvalid(await get(`/${'x'.repeat(101)}/ticks`), ['params.name'])
  })
})

/** As text may be that is a part of no address as it is. */
const ODD_KEY = '../a b/ü🎈%2F?#'

describe('waiting work', () => {
  const to = 'a@example.com'
  const sendReport = jobs.find(({ name }) => name === 'sendReport')!
  const enqueue = async (options?: Parameters<typeof api.jobsClient.enqueue>[3]) =>
    (await api.jobsClient.enqueueNow(sendReport, { to }, options)).workId
  const list = async (query = '') =>
    (await api.as('admin', { method: 'GET', url: `/api/jobs/work?${query}` })).json()

  it('is listed without its payload, from page to page, by job, label and key', async () => {
    const ids = [await enqueue(), await enqueue({ uniqueKey: 'k' }), await enqueue()]
    // All get one instant. Whether that is due is for the database's clock to say, not for the test's.
    await api.prisma.$executeRaw`update "JobWork" set "dueAt" = '2026-11-24 09:00:00.123+00'`
    await api.prisma
      .$executeRaw`update "JobWork" set "label" = 'Order 7', "key" = ${ODD_KEY} where "id" = ${ids[2]}::uuid`
    const whole = await list('name=sendReport')
    expect(whole).toMatchObject({ total: 3, names: ['sendReport'], nextCursor: null })
    expect(whole.work.find((one: { workId: string }) => one.workId === ids[1])).toEqual({
      workId: ids[1],
      name: 'sendReport',
      label: null,
      key: null,
      startAfter: '2026-11-24T09:00:00.123Z',
      isDue: expect.any(Boolean),
      enqueuedAt: expect.stringMatching(/Z$/),
      attempts: 0,
      priority: 0,
      hasUniqueKey: true,
      expiresAt: null,
    })
    const seen: string[] = []
    let query = 'limit=2'
    for (let pages = 1; pages <= 2; pages += 1) {
      const page = await list(query)
      seen.push(...page.work.map((one: { workId: string }) => one.workId))
      expect(page).toMatchObject({ total: 3, names: ['sendReport'] })
      expect(page.nextCursor === null).toBe(pages === 2)
      query = `limit=2&cursor=${page.nextCursor}`
    }
    expect(seen).toEqual(whole.work.map((one: { workId: string }) => one.workId))
    const turned = await list('order=last')
    expect(turned.work).toEqual(whole.work.toReversed())
    const found = { total: 1, work: [{ workId: ids[2] }] }
    expect(await list('label=Order%207')).toMatchObject({ ...found, isLabelPart: false })
    const key = encodeURIComponent(ODD_KEY)
    expect(await list(`key=${key}`)).toMatchObject({ ...found, work: [{ key: ODD_KEY }] })
    expect(await list(`key=${key}&name=cleanupI18nCache`)).toMatchObject({ total: 0 })
    expect(await list('key=')).toMatchObject({ total: 0 })
    const groups = await api.as('admin', { method: 'GET', url: `/api/jobs/work/groups?key=${key}` })
    expect(groups.json()).toMatchObject({ looked: 1 })
    // As the lists of runs have it: where no work that waits has exactly this label, what contains it.
    expect(await list('label=RDER')).toMatchObject({ ...found, isLabelPart: true })
    expect(await list('label=RDER&name=cleanupI18nCache')).toMatchObject({ total: 0, work: [] })
    expect(await list('label=Order%208')).toMatchObject({ total: 0, work: [], isLabelPart: true })
    expect(await list('name=cleanupI18nCache')).toMatchObject({ total: 0, work: [] })
    expect(JSON.stringify(whole)).not.toContain(to)
  })

  it('is explained, with what keeps it and what became of it', async () => {
    const id = await enqueue()
    const explain = async () =>
      (await api.as('admin', { method: 'GET', url: `/api/jobs/work/${id}/explain` })).json()
    const name = 'sendReport'
    expect(await explain()).toMatchObject({
      name,
      state: 'waiting',
      reasons: [{ kind: 'noWorker' }],
    })
    await post('bulk', { kind: 'cancelWork', ids: [id], reason: 'why' }, 'owner')
    const text = 'cancelled by owner@example.com: why'
    expect(await explain()).toMatchObject({ state: 'cancelled', text, reasons: [] })
  })

  it('waits while its queue is paused, which the queue tells', async () => {
    const pause = (name: string) => post(`${name}/queue/pause`, { reason: 'the server is down' })
    await api.prisma.$executeRaw`
      insert into "JobWorker" ("id", "liveness", "lanes") values ('w1', 'heartbeat', '{"sendReport": 1}')`
    expect((await pause('sendReport')).json()).toEqual({ name: 'sendReport', queuePaused: true })
    expectProblem(await pause('sendReport'), 409)
    // No worker has it yet.
    expect((await pause('nothing')).json()).toEqual({ name: 'nothing', queuePaused: true })
    expectInvalid(await post('sendReport/queue/pause', {}), ['body.reason'])
    const told = async () => {
      const queue = (await api.as('admin', { method: 'GET', url: '/api/console/queue' })).json()
      return queue.jobs.find(({ name }: { name: string }) => name === 'sendReport').queuePaused
    }
    expect(await told()).toEqual({
      at: expect.stringMatching(/Z$/),
      by: 'admin@example.com',
      reason: 'the server is down',
    })
    const resume = () => post('sendReport/queue/resume')
    expect((await resume()).json()).toEqual({ name: 'sendReport', queuePaused: false })
    expectProblem(await resume(), 409)
    expectProblem(await post('neverPaused/queue/resume'), 404)
    expect(await told()).toBeNull()
  })
})
