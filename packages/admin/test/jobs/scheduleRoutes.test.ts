import { emptyTables, expectInvalid, expectProblem, openForTests, QUEUE } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { openTestAdmin } from '../openTestAdmin.ts'

const api = openForTests(openTestAdmin)

beforeEach(async () => {
  await emptyTables(
    api.prisma,
    `"JobRun", "JobClaim", "JobSchedule", "JobTick", "JobAction", ${QUEUE}`,
  )
})

const PAYLOAD = { to: 'somebody@example.com' }
const WEEKLY = {
  key: 'customer/1',
  cron: '0 9 * * 1',
  timeZone: 'Europe/Lisbon',
  payload: PAYLOAD,
  ifVersion: 0,
  reason: 'They asked',
}
const OF_ONE = `sendReport/schedules/${encodeURIComponent(WEEKLY.key)}`

const post = (path: string, payload: object) =>
  api.as('admin', { method: 'POST', url: `/api/jobs/${path}`, payload })
const get = (path: string) => api.as('admin', { method: 'GET', url: `/api/${path}` })
const make = (more: object = {}) => post('sendReport/schedules', { ...WEEKLY, ...more })
const show = async () => (await get(`jobs/${OF_ONE}`)).json()

/** What is stored, which no route shows. */
const payloads = () =>
  api.prisma.$queryRaw<{ key: string; payload: unknown; version: number }[]>`
    select "key", "payload", "version" from "JobSchedule" order by "key"`

/** Writes ledger rows as a worker does. */
async function decide(key: string, days: number[], runs = 0): Promise<void> {
  await api.prisma.$executeRaw`
    insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "version", "workerId")
    select 'sendReport', ${key}, make_timestamptz(2026, 11, day, 9, 0, 0, 'UTC'),
      (case when n <= ${runs} then 'enqueued' else 'skipped' end)::"TickOutcome",
      case when n <= ${runs} then null else 'paused' end, case when n <= ${runs} then gen_random_uuid() end, 1, 'w1'
    from unnest(${days}::int[]) with ordinality as given(day, n)`
}

describe('making and changing a schedule', () => {
  it('makes one, says when it is due, and keeps who wanted it and why', async () => {
    const made = await make()

    expect(made.statusCode).toBe(200)
    expect(made.json()).toMatchObject({ kind: 'created', version: 1 })
    const { schedule, upcoming, actions } = await show()
    expect(schedule).toMatchObject({
      name: 'sendReport',
      key: 'customer/1',
      version: 1,
      cron: '0 9 * * 1',
      words: 'At 09:00, only on Monday',
      timeZone: 'Europe/Lisbon',
      paused: null,
      lastTick: null,
    })
    expect(upcoming).toHaveLength(10)
    expect(upcoming[0]).toEqual({
      at: '2026-11-30T09:00:00.000Z',
      local: '2026-11-30 09:00:00',
      offset: '+00:00',
      mark: null,
    })
    expect(actions).toMatchObject([
      {
        action: 'reschedule',
        actor: 'admin@example.com',
        reason: '0 9 * * 1 in Europe/Lisbon, before: none; They asked',
      },
    ])
    expect(api.log).toContainEqual(
      expect.objectContaining({ msg: 'schedule changed', key: 'customer/1' }),
    )
  })

  it('changes one without its payload, and keeps that', async () => {
    await make()
    const { payload: _, ...rest } = WEEKLY
    const changed = await post('sendReport/schedules', { ...rest, cron: '0 8 * * 1', ifVersion: 1 })

    expect(changed.json()).toMatchObject({ kind: 'changed', version: 2 })
    expect(await payloads()).toEqual([{ key: 'customer/1', payload: PAYLOAD, version: 2 }])
    expect((await show()).actions[0].reason).toBe(
      '0 8 * * 1 in Europe/Lisbon, before: 0 9 * * 1 in Europe/Lisbon; They asked',
    )
  })

  it.each([
    ['a cron expression that is none', { cron: '61 * * * *' }, 'body.cron'],
    ['a zone that is none', { timeZone: 'Europe/Atlantis' }, 'body.timeZone'],
    ['a jitter of more than half of the time between', { jitterMs: 9e9 }, 'body.jitterMs'],
    ['more than one tick a minute', { cron: '*/5 * * * * *' }, 'body.cron'],
    [
      'an end before its start',
      { startsAt: '2027-01-02T00:00:00Z', endsAt: '2027-01-01T00:00:00Z' },
      'body.endsAt',
    ],
    ['a key of too many bytes', { key: 'é'.repeat(101) }, 'body.key'],
    ['a payload that its job does not take', { payload: { to: 'nobody' } }, 'body.payload.to'],
    ['a payload that is missing', { payload: undefined }, 'body.payload.to'],
  ])('names the part that is wrong: %s', async (_, more, path) => {
    const refused = await make(more)

    expect(refused.statusCode).toBe(400)
    expect(refused.json().errors).toMatchObject([{ path }])
    expect(await payloads()).toEqual([])
  })

  it('shows what a schedule would be due at before it is made', async () => {
    const query = new URLSearchParams({ cron: '30 1 * * *', timeZone: 'Europe/Berlin' })
    const { words, upcoming } = (await get(`console/schedules/preview?${query.toString()}`)).json()

    expect(words).toBe('At 01:30')
    expect(upcoming).toHaveLength(10)
    expect(upcoming[0]).toMatchObject({ at: '2026-11-25T00:30:00.000Z', offset: '+01:00' })
    expectInvalid(await get('console/schedules/preview?cron=never'), ['query.cron'])
  })
})

describe('listing schedules', () => {
  it('pages by key, and finds those that begin with a text', async () => {
    for (const key of ['b1', 'a2', 'a1', 'a3']) await make({ key })
    const list = async (query: string) => (await get(`jobs/sendReport/schedules?${query}`)).json()
    const keysOf = (page: { schedules: { key: string }[] }) => page.schedules.map(({ key }) => key)

    const first = await list('limit=2')
    expect(keysOf(first)).toEqual(['a1', 'a2'])
    const second = await list(`limit=2&cursor=${first.nextCursor}`)
    expect(keysOf(second)).toEqual(['a3', 'b1'])
    expect(second.nextCursor).toBeNull()
    expect(keysOf(await list('search=a'))).toEqual(['a1', 'a2', 'a3'])
    expect(keysOf(await list('state=paused'))).toEqual([])
    expectInvalid(await get('jobs/sendReport/schedules?cursor=*'), ['query.cursor'])
    expect((await get('console/jobs/sendReport')).json().schedules).toEqual({
      count: 4,
      isCut: false,
    })
  })

  it('has the last tick of each, with its run, and pages through all of them', async () => {
    await make()
    await make({ key: 'other' })
    await decide('customer/1', [23, 16, 9], 1)
    await api.prisma.$executeRaw`
      insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "workId", "attempt", "errorCode")
      select gen_random_uuid(), 'sendReport', (case attempt when 1 then 'failed' else 'success' end)::"JobRunStatus", 'schedule', now(), now(), 'w1', "workId", attempt, case attempt when 1 then 'gone' end
      from "JobTick", generate_series(1, 2) attempt where "workId" is not null`

    const { schedules, total } = (await get('jobs/sendReport/schedules')).json()
    expect(total).toEqual({ count: 2, isCut: false })
    expect(schedules).toMatchObject([
      { key: 'customer/1', lastTick: { outcome: 'enqueued', run: { outcome: 'success' } } },
      { key: 'other', lastTick: null },
    ])
    const first = (await get(`jobs/${OF_ONE}/ticks?limit=2`)).json()
    expect(first.ticks).toMatchObject([
      { scheduledFor: '2026-11-23T09:00:00.000Z', run: { status: 'success' } },
      { scheduledFor: '2026-11-16T09:00:00.000Z', outcome: 'skipped', reason: 'paused', run: null },
    ])
    const second = (await get(`jobs/${OF_ONE}/ticks?limit=2&cursor=${first.nextCursor}`)).json()
    expect(second.ticks).toMatchObject([{ scheduledFor: '2026-11-09T09:00:00.000Z' }])
    expect(second.nextCursor).toBeNull()
  })
})

describe('what people do to a schedule', () => {
  it('is deleted, and its past stays', async () => {
    await make()
    await decide('customer/1', [23])
    const url = `/api/jobs/${OF_ONE}`
    const payload = { reason: 'They left' }
    expect((await api.as('admin', { method: 'DELETE', url, payload })).statusCode).toBe(204)

    const { schedule, actions } = await show()
    expect(schedule).toBeNull()
    expect(actions[0]).toMatchObject({
      action: 'reschedule',
      reason: 'none, before: 0 9 * * 1 in Europe/Lisbon; They left',
    })
    expect(
      expectProblem(await api.as('admin', { method: 'DELETE', url, payload }), 404).detail,
    ).toContain('no schedule')
    expect((await get(`jobs/${OF_ONE}/ticks`)).json().ticks).toHaveLength(1)
  })

  it('is no act on the job itself', async () => {
    await make()
    await post(`${OF_ONE}/pause`, { reason: 'Moving' })

    expect((await get('console/jobs/sendReport')).json().actions).toEqual([])
    const { earlier } = (await post(`${OF_ONE}/pause`, { reason: 'Too late' })).json()
    expect(earlier).toMatchObject({ actor: 'admin@example.com', reason: 'Moving' })
  })
})
