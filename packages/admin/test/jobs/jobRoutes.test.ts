import {
  emptyTables,
  expectInvalid,
  expectProblem,
  listQueue,
  openForTests,
  QUEUE,
  useLivingWorkers,
} from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { jobs, openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)
useLivingWorkers(() => api.databaseUrl, 'w1')

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

    it('and a dry run of a job that does not declare it', async () => {
      const payload = { to: 'a@example.com' }
      const body = { reason: 'why', dryRun: true, payload }
      expectInvalid(await post('sendReport/run', body), ['dryRun'])
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
    'dead-letters/01a20e26-367c-766a-a085-72e882269712/redrive',
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

  it('shows 60 at a time unless told otherwise, and a last page that is full has no next', async () => {
    await addTicks('cleanupI18nCache', 61)
    const first = (await get('/cleanupI18nCache/ticks')).json()
    expect(first.ticks).toHaveLength(60)
    expect(first.nextCursor).not.toBeNull()
    const all = (await get('/cleanupI18nCache/ticks?limit=61')).json()
    expect([all.ticks.length, all.nextCursor]).toEqual([61, null])
  })

  it('still shows the ticks of a job that has left the catalogue', async () => {
    await addTicks('formerJob', 1)
    expect((await get('/formerJob/ticks')).json().ticks).toHaveLength(1)
  })

  for (const [query, path] of [
    ['limit=0', 'query.limit'],
    ['cursor=abc', 'query.cursor'],
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

it('waiting work is narrowed to a key, to a label, or to a part of labels where none is just that', async () => {
  const sendReport = jobs.find(({ name }) => name === 'sendReport')!
  const payload = { to: 'a@example.com' }
  const { workId } = await api.jobsClient.enqueueNow(sendReport, payload)
  await api.jobsClient.enqueueNow(sendReport, payload)
  await api.prisma.$executeRaw`
    update "JobWork" set "label" = 'Order 7', "key" = 'a b/ü' where "id" = ${workId}::uuid`
  const list = async (query: object) => {
    const url = `/api/jobs/work?${new URLSearchParams({ ...query }).toString()}`
    return (await api.as('admin', { method: 'GET', url })).json()
  }
  const found = { total: 1, work: [{ workId }] }
  expect(await list({ key: 'a b/ü' })).toMatchObject(found)
  expect(await list({ label: 'Order 7' })).toMatchObject({ ...found, isLabelPart: false })
  expect(await list({ label: 'RDER' })).toMatchObject({ ...found, isLabelPart: true })
  expect(await list({ label: 'RDER', name: 'cleanupI18nCache' })).toMatchObject({ total: 0 })
})
