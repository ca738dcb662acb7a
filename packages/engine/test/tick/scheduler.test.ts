// Not quick: waits for locks until the scheduler gives way.
import { fakeClock, HOLD_RUNS_SQL, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { defineJob, type ScheduledJob, type ScheduleOptions } from '../../src/index.ts'
import { sqlOf, type Connection, type Database } from '../../src/store/database.ts'
import { createScheduler, type Scheduler } from '../../src/tick/scheduler.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { useSession } from '../useSession.ts'
import { countLockWaits, LOOKED_FOR_DEADLOCK_MS } from '../countLockWaits.ts'
import { noClock } from '../fixtures/noClock.ts'

const job = (options: Partial<ScheduleOptions> = {}, name = 'sweep') =>
  defineJob({ name, schedule: { cron: '* * * * *', ...options } }) as ScheduledJob

const START = '2026-05-01T12:00:30Z'

const runtime = useTestRuntime({ cleared: ['JobTick', 'JobSchedule'] })
useSession(runtime, 'test')
const clock = fakeClock(START)

beforeEach(async () => {
  clock.set(START)
  await runtime.rows(`update "JobWorker" set "schedules" = '{}'`)
})

interface SchedulerSetup {
  jobs?: ScheduledJob[]
  now?: () => Date
  workerId?: string
  database?: Database
  onTick?: (name: string) => void
}

async function startScheduler(setup: SchedulerSetup = {}): Promise<Scheduler> {
  const { database, log } = runtime
  const defaults = { jobs: [job()], database, workerId: 'w1', log, now: clock.now, clock: noClock }
  const scheduler = createScheduler({ ...defaults, ...setup })
  await scheduler.start()
  return scheduler
}

/** Has schedulers look at this time of the day, one after the other. */
async function wakeAt(time: string, ...schedulers: Scheduler[]): Promise<void> {
  clock.set(`2026-05-01T${time}Z`)
  for (const scheduler of schedulers) await scheduler.wake()
}

/** Counts the statements that the database is sent, without those that begin and end transactions. */
function countStatements(): Database & { count: number } {
  const counting = {
    ...runtime.database,
    count: 0,
    query: count(runtime.database),
    transaction: <Value>(work: (tx: Connection) => Promise<Value>) =>
      runtime.database.transaction((tx) => work({ ...tx, query: count(tx) })),
  }
  function count(connection: Connection): Connection['query'] {
    return async (...args) => {
      counting.count++
      return await connection.query(...args)
    }
  }
  return counting
}

/** The database, which calls back once work is inserted. */
function afterInsert(callBack: () => unknown): Database {
  const query =
    (tx: Connection): Connection['query'] =>
    async (...statement) => {
      const answer = await tx.query(...statement)
      if (sqlOf(tx.schema, statement[0]).includes('into "JobWork"')) await callBack()
      return answer as never
    }
  return {
    ...runtime.database,
    transaction: (work, limits) =>
      runtime.database.transaction((tx) => work({ ...tx, query: query(tx) }), limits),
  }
}

const ledger = async () =>
  (
    await runtime.rows<{ scheduledFor: Date; outcome: string }>(
      'select "scheduledFor", "outcome" from "JobTick" order by "name", "scheduledFor"',
    )
  ).map(({ scheduledFor, outcome }) => `${scheduledFor.toISOString().slice(11, 19)} ${outcome}`)

const names = () => runtime.column<string>('select "name" from "JobTick" order by "name"')

const enqueued = async () =>
  (
    await runtime.rows<{ at: string }>(
      `select "facts" ->> 'scheduledFor' as at from "JobWork" order by 1`,
    )
  ).map(({ at }) => at.slice(11, 19))

describe('scheduler', () => {
  it('writes a due tick into the ledger and its work into the queue', async () => {
    const scheduler = await startScheduler()

    await scheduler.wake()
    expect(await ledger()).toEqual([])

    await wakeAt('12:01:00', scheduler)
    await scheduler.wake()

    expect(await ledger()).toEqual(['12:01:00 enqueued'])
    expect(await enqueued()).toEqual(['12:01:00'])
  })

  it('the ledger names the work that the tick became', async () => {
    const scheduler = await startScheduler()
    await wakeAt('12:01:00', scheduler)

    const [row] = await runtime.rows(
      'select tick."workId" = job.id as same, tick."workerId" from "JobTick" tick, "JobWork" job',
    )
    expect(row).toEqual({ same: true, workerId: 'w1' })
  })

  it('several workers decide the same tick once', async () => {
    const workers = await Promise.all(
      ['w1', 'w2', 'w3', 'w4'].map((workerId) => startScheduler({ workerId })),
    )
    for (let minute = 1; minute <= 10; minute++) {
      clock.advance(60_000)
      await runtime.rows('delete from "JobWork"')
      await Promise.all(workers.map((worker) => worker.wake()))
      expect(await enqueued()).toHaveLength(1)
    }

    expect(await ledger()).toHaveLength(10)
    expect(new Set(await ledger()).size).toBe(10)
  })

  it('a worker that lost a tick goes on with the next one', async () => {
    const first = await startScheduler({ workerId: 'w1' })
    const second = await startScheduler({ workerId: 'w2' })
    await wakeAt('12:01:00', first)
    await second.wake()
    await runtime.rows('delete from "JobWork"')
    await wakeAt('12:02:00', second)

    expect(await ledger()).toEqual(['12:01:00 enqueued', '12:02:00 enqueued'])
  })

  it('ticks that nobody was there for are in the ledger, and one run makes up for them', async () => {
    await startScheduler()
    clock.set('2026-05-01T12:04:10Z')
    const restarted = await startScheduler({ workerId: 'w2' })
    await restarted.wake()

    expect(await ledger()).toEqual([
      '12:01:00 coalesced',
      '12:02:00 coalesced',
      '12:03:00 coalesced',
      '12:04:00 enqueued',
    ])
    expect(await enqueued()).toEqual(['12:04:00'])
  })

  it('a new schedule starts from now, and so does one that was changed', async () => {
    await startScheduler()
    clock.set('2026-05-01T18:00:10Z')
    const changed = await startScheduler({ jobs: [job({ cron: '*/5 * * * *' })] })
    await changed.wake()
    expect(await ledger()).toEqual([])

    await wakeAt('18:05:00', changed)
    expect(await ledger()).toEqual(['18:05:00 enqueued'])
  })

  it('a worker with an outdated schedule leaves the job to the newer one', async () => {
    const outdated = await startScheduler()
    await startScheduler({ jobs: [job({ cron: '0 * * * *' })], workerId: 'test' })
    await wakeAt('12:01:00', outdated)
    await wakeAt('12:02:00', outdated)

    expect(await ledger()).toEqual([])
  })

  it.each([{ cron: '30 * * * *' }, { timeZone: 'Asia/Kolkata' }])(
    'a worker with an outdated schedule claims nothing before it has seen the newer one, %j',
    async (newer) => {
      const cron = '0 * * * *'
      const outdated = await startScheduler({ jobs: [job({ cron, timeZone: 'UTC' })] })
      // Its cursor stands where the outdated worker has seen it.
      const jobs = [job({ cron, timeZone: 'UTC', ...newer })]
      await startScheduler({ jobs, workerId: 'test' })
      await wakeAt('13:00:00', outdated)

      expect(await ledger()).toEqual([])
    },
  )

  it('does not wait for a schedule that another worker is deciding, and decides the others', async () => {
    const told: string[] = []
    const scheduler = await startScheduler({
      jobs: [job(), job({}, 'other')],
      onTick: (name) => void told.push(name),
    })
    clock.set('2026-05-01T12:01:00Z')
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobSchedule" where "name" = 'sweep' for update`)
      await scheduler.wake()
      expect(await names()).toEqual(['other'])
      // Only what this worker decided wakes anybody.
      expect(told).toEqual(['other'])
    })
    await scheduler.wake()
    expect(told).toEqual(['other', 'sweep'])
  })

  it('skips a tick while an earlier run has not ended, whoever started it', async () => {
    const scheduler = await startScheduler()
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId") values (gen_random_uuid(), 'sweep', 'cli', 'somebody')`,
    )
    await runtime.rows(HOLD_RUNS_SQL)
    await wakeAt('12:01:00', scheduler)
    await runtime.rows('truncate "JobRun", "JobClaim"')
    await wakeAt('12:02:00', scheduler)
    await wakeAt('12:03:00', scheduler)

    expect(await ledger()).toEqual(['12:01:00 skipped', '12:02:00 enqueued', '12:03:00 skipped'])
  })

  it('records what was due while the schedule was paused', async () => {
    const scheduler = await startScheduler()
    await runtime.rows('update "JobSchedule" set "pausedAt" = now()')
    await wakeAt('12:02:00', scheduler)
    await runtime.rows('update "JobSchedule" set "pausedAt" = null')
    await wakeAt('12:03:00', scheduler)

    expect(await ledger()).toEqual(['12:01:00 skipped', '12:02:00 skipped', '12:03:00 enqueued'])
  })

  it('writes neither ledger nor queue when sending fails, and makes up for it', async () => {
    let isBroken = true
    const scheduler = await startScheduler({
      database: afterInsert(() => {
        if (isBroken) throw new Error('connection lost')
      }),
    })
    await wakeAt('12:01:00', scheduler)
    expect([await ledger(), await enqueued()]).toEqual([[], []])

    isBroken = false
    await scheduler.wake()
    expect([await ledger(), await enqueued()]).toEqual([['12:01:00 enqueued'], ['12:01:00']])
  })

  describe('while another session holds a lock that ticks need', () => {
    const jobs = [job(), job({}, 'other')]
    /** Waits until the work has ended, or has waited for so long that PostgreSQL has looked whether there is a deadlock. */
    async function untilLookedFor(work: Promise<void>): Promise<void> {
      let isOver = false
      void work.finally(() => (isOver = true))
      const longerThanMs = LOOKED_FOR_DEADLOCK_MS
      await waitFor(async () => isOver || (await countLockWaits(runtime, { longerThanMs })))
    }
    const insertSchedule = (name: string) =>
      `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${name}', '* * * * *', 'UTC', '${START}') on conflict do nothing`

    it('it holds up its own ticks, and no other', async () => {
      const lock = `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId") values ('sweep', '2026-05-01T12:01:00Z', 'missed', 'w')`
      const scheduler = await startScheduler({ jobs })
      clock.set('2026-05-01T12:01:00Z')
      await runtime.database.transaction(async (tx) => {
        await tx.query(lock)
        await scheduler.wake()
        expect(await names()).toEqual(['other'])
      })
      await scheduler.wake()
      expect(await names()).toEqual(['other', 'sweep'])
    })

    it('its own transaction never fails as a deadlock', async () => {
      const scheduler = await startScheduler({ jobs })
      clock.set('2026-05-01T12:01:00Z')
      await runtime.database.transaction(async (tx) => {
        await tx.query('lock table "JobTick" in share mode')
        const waking = scheduler.wake()
        await untilLookedFor(waking)
        await tx.query('update "JobSchedule" set "pausedAt" = null')
        await waking
      })
      await scheduler.wake()
      expect(await names()).toEqual(['other', 'sweep'])
    })

    it('its own transaction never fails as a deadlock when it inserts deleted schedules', async () => {
      const scheduler = await startScheduler({ jobs })
      await runtime.rows('delete from "JobSchedule"')
      clock.set('2026-05-01T12:01:00Z')
      await runtime.database.transaction(async (tx) => {
        await tx.query(insertSchedule('sweep'))
        const waking = scheduler.wake()
        await untilLookedFor(waking)
        await tx.query(insertSchedule('other'))
        await waking
      })
      for (let second = 0; second < 60; second++) await scheduler.wake()
      expect(await names()).toEqual(['other', 'sweep'])
    })

    it('a locked list of workers stops no tick', async () => {
      const scheduler = await startScheduler({ jobs })
      await runtime.database.transaction(async (tx) => {
        await tx.query('lock table "JobWorker" in share mode')
        for (let second = 0; second < 60; second++) await scheduler.wake()
        await wakeAt('12:01:00', scheduler)
        expect(await names()).toEqual(['other', 'sweep'])
      })
    })
  })

  it('sends no tick again when a cursor was set back', async () => {
    const scheduler = await startScheduler()
    await wakeAt('12:01:00', scheduler)
    await runtime.rows('delete from "JobWork"')
    await runtime.rows(`update "JobSchedule" set "cursor" = '2026-05-01T12:00:30Z'`)
    clock.set('2026-05-01T12:02:00Z')
    const second = await startScheduler({
      workerId: 'w2',
      jobs: [job({ missed: 'all', overlap: 'allow' })],
    })
    await second.wake()

    expect([await ledger(), await enqueued()]).toEqual([
      ['12:01:00 enqueued', '12:02:00 enqueued'],
      ['12:02:00'],
    ])
  })

  describe.each([
    'infinity',
    '-infinity',
    '0001-01-01Z',
    '4000-01-01Z BC',
    '290000-01-01Z',
    '2100-01-01Z',
  ])('a cursor that somebody has set to %s', (cursor) => {
    const set = () =>
      runtime.rows(`update "JobSchedule" set "cursor" = $1 where "name" = 'sweep'`, [cursor])
    const jobs = [job(), job({}, 'other')]
    const lines = () =>
      runtime.lines.filter(({ msg }) => String(msg).includes('an impossible cursor'))

    it('keeps no other schedule from going on, and its own goes on where the ledger ends', async () => {
      const scheduler = await startScheduler({ jobs })
      await wakeAt('12:01:00', scheduler)
      expect(await names()).toEqual(['other', 'sweep'])
      await set()
      runtime.lines.length = 0

      await wakeAt('12:04:00', scheduler)
      await scheduler.wake()
      expect(lines()).toMatchObject([{ level: 50, name: 'sweep' }])
      const minutes = ['12:01:00', '12:02:00', '12:03:00', '12:04:00']
      expect((await ledger()).map((tick) => tick.slice(0, 8))).toEqual([...minutes, ...minutes])
    })

    it('keeps no worker from starting', async () => {
      await startScheduler({ jobs })
      await runtime.rows('delete from "JobTick"')
      await set()
      runtime.lines.length = 0

      clock.set('2026-05-01T12:05:30Z')
      const scheduler = await startScheduler({ jobs })
      expect(lines()).toMatchObject([{ level: 50, name: 'sweep' }])
      await wakeAt('12:06:00', scheduler)
      const [sweep] = await runtime.rows<{ at: Date[] }>(
        `select array_agg("scheduledFor") as at from "JobTick" where "name" = 'sweep'`,
      )
      expect(sweep?.at).toEqual([new Date('2026-05-01T12:06:00Z')])
    })
  })

  it('a worker whose clock is behind registers a change from where the ledger ends', async () => {
    const slow = fakeClock(START)
    const hourly = await startScheduler({ jobs: [job({ cron: '0 * * * *' })] })
    await wakeAt('13:00:00', hourly)
    const jobs = [job({ cron: '*/20 * * * *', overlap: 'allow' })]
    await startScheduler({ jobs, workerId: 'slow', now: slow.now })
    const other = await startScheduler({ jobs, workerId: 'w2' })
    await wakeAt('13:20:00', other)
    expect(await ledger()).toEqual(['13:00:00 enqueued', '13:20:00 enqueued'])
  })

  it('an impossible cursor goes on after the latest tick, in whatever order the ledger was written', async () => {
    const scheduler = await startScheduler()
    await runtime.rows(
      `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId", "count", "through") values
         ('sweep', '2026-05-01T12:02:00Z', 'enqueued', 'w', 1, null),
         ('sweep', '2026-05-01T12:03:00Z', 'missed', 'w', 3, '2026-05-01T12:05:00Z'),
         ('sweep', '2026-05-01T12:01:00Z', 'enqueued', 'w', 1, null)`,
    )
    await runtime.rows(`update "JobSchedule" set "cursor" = 'infinity'`)
    await wakeAt('12:06:00', scheduler)
    await scheduler.wake()
    expect(await ledger()).toEqual([
      '12:01:00 enqueued',
      '12:02:00 enqueued',
      '12:03:00 missed',
      '12:06:00 enqueued',
    ])
  })

  it('a worker that stops waits for the round under way, and says that it decides no more', async () => {
    const gate = Promise.withResolvers<void>()
    const sending = Promise.withResolvers<void>()
    const told = async () =>
      await runtime.rows(`select "schedules" from "JobWorker" where "id" = 'test'`)
    const scheduler = await startScheduler({
      workerId: 'test',
      database: afterInsert(async () => {
        sending.resolve()
        await gate.promise
      }),
    })
    expect(await told()).toEqual([{ schedules: { sweep: ['* * * * *', 'UTC'] } }])
    clock.set('2026-05-01T12:01:00Z')
    void scheduler.wake()
    await sending.promise
    let isStopped = false
    const stopped = scheduler.stop().then(() => (isStopped = true))
    for (let statement = 0; statement < 5; statement++) await told()
    expect(isStopped).toBe(false)
    gate.resolve()
    await stopped
    expect([await ledger(), await told()]).toEqual([['12:01:00 enqueued'], [{ schedules: {} }]])
  })

  it('a worker whose clock is ahead of the database decides nothing that is not due there', async () => {
    clock.set(new Date())
    const scheduler = await startScheduler({ jobs: [job({ cron: '* * * * * *' })] })
    clock.advance(3_600_000)
    await scheduler.wake()
    await waitFor(async () => {
      await scheduler.wake()
      return (await ledger()).length > 0
    })

    const [latest] = await runtime.rows<{ isEarly: boolean }>(
      `select max(coalesce("through", "scheduledFor")) > clock_timestamp() + interval '1 second' as "isEarly" from "JobTick"`,
    )
    expect(latest).toEqual({ isEarly: false })
  })

  it('a worker whose clock is ahead judges by the time of the database how late a tick is', async () => {
    const tick = new Date(Math.floor(Date.now() / 60_000) * 60_000 - 2 * 3_600_000)
    const [month, day] = [tick.getUTCMonth() + 1, tick.getUTCDate()]
    const cron = `${tick.getUTCMinutes()} ${tick.getUTCHours()} ${day} ${month} *`
    clock.set(new Date(tick.getTime() - 60_000))
    const scheduler = await startScheduler({
      jobs: [job({ cron, timeZone: 'UTC', catchUpMs: 2.5 * 3_600_000 })],
    })
    clock.set(new Date(Date.now() + 3_600_000))
    await scheduler.wake()
    expect(await ledger()).toEqual([`${tick.toISOString().slice(11, 19)} enqueued`])
  })

  it('a worker that has seen that its clock is ahead asks for the time before it claims', async () => {
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000)
    clock.set(at(-2))
    const counting = countStatements()
    const cron = `${(at(0).getUTCMinutes() + 30) % 60} * * * *`
    const scheduler = await startScheduler({ jobs: [job({ cron })], database: counting })
    clock.set(at(2))
    await scheduler.wake()
    expect(await ledger()).toEqual([])
    await scheduler.wake()
    expect(await ledger()).toHaveLength(2)

    counting.count = 0
    await scheduler.wake()
    expect(counting.count).toBe(1)
  })

  it('a worker whose clock is ahead registers no later than at the time of the database', async () => {
    await startScheduler({ now: () => new Date(Date.now() + 86_400_000) })
    const [row] = await runtime.rows(
      `select "cursor" > clock_timestamp() + interval '1 second' as cursor, "updatedAt" > clock_timestamp() + interval '1 second' as "updatedAt"
       from "JobSchedule"`,
    )
    expect(row).toEqual({ cursor: false, updatedAt: false })
  })

  it('a worker whose machine is behind starts a new schedule at the time of the database', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 600_000 })
    try {
      await startScheduler({ now: () => new Date() })
    } finally {
      vi.useRealTimers()
    }
    const [row] = await runtime.rows(
      `select "cursor" < clock_timestamp() - interval '5 minutes' as "isPast" from "JobSchedule"`,
    )
    expect(row).toEqual({ isPast: false })
  })

  it('a worker that is ahead of the database by a part of the lead it may have is not held back', async () => {
    const started = new Date()
    clock.set(started)
    const scheduler = await startScheduler({ jobs: [job({ cron: '* * * * * *' })] })
    clock.set(new Date(Math.floor(started.getTime() / 1000) * 1000 + 1000))
    await scheduler.wake()
    expect(await ledger()).toHaveLength(1)
  })

  it('finds every tick when it wakes late, and when it wakes for each', async () => {
    const scheduler = await startScheduler({
      jobs: [job({ cron: '*/2 * * * *', missed: 'all', overlap: 'allow' })],
    })
    for (const at of ['12:02:00', '12:03:00', '12:04:00', '12:09:30', '12:10:00']) {
      await wakeAt(at, scheduler)
    }
    expect(await ledger()).toEqual(
      ['02', '04', '06', '08', '10'].map((minute) => `12:${minute}:00 enqueued`),
    )
  })

  it('a worker whose clock is behind never moves a schedule back', async () => {
    const slow = fakeClock(START)
    const behind = await startScheduler({ now: slow.now, workerId: 'behind' })
    const ahead = await startScheduler({ workerId: 'ahead' })
    await wakeAt('12:03:00', ahead)
    slow.set('2026-05-01T12:01:00Z')
    await behind.wake()

    const [row] = await runtime.rows<{ cursor: Date }>('select "cursor" from "JobSchedule"')
    expect(row?.cursor.toISOString()).toBe('2026-05-01T12:03:00.000Z')
  })

  it('an idle second costs no query', async () => {
    const counting = countStatements()
    const scheduler = await startScheduler({ database: counting })
    const atStart = counting.count
    for (let second = 0; second < 29; second++) {
      clock.advance(1_000)
      await scheduler.wake()
    }
    expect(counting.count).toBe(atStart)

    clock.advance(1_000)
    await scheduler.wake()
    expect(counting.count).toBeGreaterThan(atStart)
  })

  it('decides many jobs that are due at the same second in one transaction', async () => {
    let transactions = 0
    const counting: Database = {
      ...runtime.database,
      transaction: (work) => (transactions++, runtime.database.transaction(work)),
    }
    const scheduler = await startScheduler({
      jobs: [job(), job({}, 'other')],
      database: counting,
    })
    transactions = 0
    await wakeAt('12:01:00', scheduler)

    expect(transactions).toBe(1)
    expect(await ledger()).toEqual(['12:01:00 enqueued', '12:01:00 enqueued'])
  })

  it('sends as many statements for many jobs as for one', async () => {
    const [one, many] = [countStatements(), countStatements()]
    const alone = await startScheduler({ jobs: [job({}, 'third')], database: one })
    const both = await startScheduler({
      jobs: [job(), job({}, 'other')],
      database: many,
    })
    ;[one.count, many.count] = [0, 0]
    await wakeAt('12:01:00', alone)
    await both.wake()

    expect(await ledger()).toHaveLength(3)
    expect(many.count).toBe(one.count)
    // The claim, the ledger, the queues.
    expect(one.count).toBe(3)
  })

  it('leaves a tick to whoever decided the last one, and decides it when that one is gone', async () => {
    const counting = countStatements()
    const winner = await startScheduler({ workerId: 'winner' })
    const other = await startScheduler({ workerId: 'other', database: counting })
    const decideAt = async (time: string, ...schedulers: Scheduler[]) => {
      await runtime.rows('delete from "JobWork"')
      counting.count = 0
      await wakeAt(time, ...schedulers)
      return counting.count
    }
    // It tries, and looks.
    expect(await decideAt('12:01:00', winner, other)).toBe(2)
    // It looks.
    expect(await decideAt('12:02:00', winner, other)).toBe(1)
    // It looks, and there is something to do.
    expect(await decideAt('12:03:00', other)).toBe(4)
    // Now it is the first to try.
    expect(await decideAt('12:04:00', other, winner)).toBe(3)
    expect(
      await runtime.rows('select "workerId", "outcome" from "JobTick" order by "scheduledFor"'),
    ).toEqual(
      ['winner', 'winner', 'other', 'other'].map((workerId) => ({ workerId, outcome: 'enqueued' })),
    )
  })

  it('covers each second of a month in which nobody was there, counts up to ten thousand, and decides what is not behind before it', async () => {
    const jobs = [job({ cron: '* * * * * *' }), job({ cron: '0 * * * *' }, 'other')]
    await startScheduler({ jobs })
    clock.set('2026-05-31T12:00:30Z')
    await runtime.rows(
      `update "JobSchedule" set "cursor" = '2026-05-31T11:30:00Z' where "name" = 'other'`,
    )
    const decided: string[] = []
    const restarted = await startScheduler({
      jobs,
      workerId: 'w2',
      onTick: (name) => decided.push(name),
    })
    await restarted.wake()

    expect(decided).toEqual(['other', 'sweep'])
    expect(
      await runtime.rows(
        `select count(*)::int as rows, sum("count")::int as ticks, min("scheduledFor") as first, max("scheduledFor") as last
         from "JobTick" where "name" = 'sweep'`,
      ),
    ).toEqual([
      {
        rows: 101,
        ticks: 100 + 10_000,
        first: new Date('2026-05-01T12:00:31Z'),
        last: new Date('2026-05-31T12:00:30Z'),
      },
    ])
  })
})
