// Not quick: starts two or three workers in each test.
import { fakeClock, waitFor } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { getJobHealth, listProblems } from '../../src/client.ts'
import { defineJob, reschedule, type Job } from '../../src/index.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { startTestWorker } from '../startTestWorker.ts'

/** The same job, as versions of the code or overrides of the environment define it. */
const sweepAt = (cron: string) =>
  defineJob({
    name: 'sweep',
    schedule: { cron, missed: 'all', overlap: 'allow', catchUpMs: 86_400_000 },
  })
const hourly = sweepAt('0 * * * *')
const monthly = sweepAt('0 0 1 * *')

const daily = defineJob({ name: 'daily', schedule: { cron: '0 3 * * *' } })

const by = { actor: 'somebody', reason: 'a test' }
const clock = fakeClock('2026-05-03T10:30:00Z')

const { runtime, client } = useClientRuntime({ cleared: ['JobTick', 'JobSchedule', 'JobAction'] })

beforeEach(() => clock.set('2026-05-03T10:30:00Z'))

/** Starts a worker. Its seconds pass when the test says so. */
async function startWorker(job: Job, ...others: Job[]) {
  let onSecond = () => undefined as void
  const worker = await startTestWorker(runtime, {
    jobs: [job, ...others],
    handlers: Object.fromEntries([job, ...others].map(({ name }) => [name, async () => undefined])),
    now: clock.now,
    clock: (wake) => {
      onSecond = wake
      return { stop: () => undefined }
    },
  })
  return {
    isReady: () => worker.isReady(),
    stop: () => worker.stop(),
    /** Lets seconds pass until it holds. */
    until: (message: string, holds: () => unknown) =>
      waitFor(() => (onSecond(), holds()), { intervalMs: 2, timeoutMs: 10_000, message }),
    /** Lets so many seconds pass that the worker has looked at all rows. */
    async pass() {
      for (let second = 0; second < 130; second++) {
        onSecond()
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    },
  }
}

const ticks = () =>
  runtime.column<string>(
    `select to_char("scheduledFor" at time zone 'UTC', 'HH24:MI') as at from "JobTick" order by "scheduledFor"`,
  )
const isDecided = (time: string) => async () => (await ticks()).includes(time)
const health = async (job: Job) => (await getJobHealth(client.reader, [job], clock.now())).problems

describe('a worker whose schedule another one has registered otherwise', () => {
  it('takes it back once that one is gone, and decides what has become due since', async () => {
    const worker = await startWorker(hourly)
    const other = await startWorker(monthly)
    clock.set('2026-05-03T11:00:00Z')
    await worker.pass()
    expect(await ticks()).toEqual([])

    await other.stop()
    clock.set('2026-05-03T12:00:20Z')
    await worker.until('the tick of noon', isDecided('12:00'))
    expect(await ticks()).toEqual(['11:00', '12:00'])
    expect(await health(hourly)).toEqual([])
  })

  it('takes it back also from one that was killed, whose row stays', async () => {
    const worker = await startWorker(hourly)
    const other = await startWorker(monthly)
    const [{ row }] = (await runtime.rows(
      `select to_jsonb(worker) || jsonb_build_object('heartbeatAt', now() - interval '1 hour') as row
       from "JobWorker" worker order by "startedAt" desc limit 1`,
    )) as [{ row: { id: string } }]
    await other.stop()
    await runtime.rows(
      `insert into "JobWorker" select (jsonb_populate_record(null::"JobWorker", $1::jsonb)).*`,
      [JSON.stringify(row)],
    )
    clock.set('2026-05-03T12:00:20Z')
    await worker.until('the tick of noon', isDecided('12:00'))
    expect(await health(hourly)).toEqual([])
    await runtime.rows('delete from "JobWorker" where "id" = $1', [row.id])
  })

  it('is told for a day, with what the schedule was before and who has changed it', async () => {
    await startWorker(hourly)
    const changes = async () =>
      await runtime.rows<{ action: string; name: string; actor: string; reason: string }>(
        `select "action", "name", "actor", "reason" from "JobAction" order by "at"`,
      )
    expect(await changes()).toEqual([])
    await startWorker(reschedule(hourly, '0 0 1 * *', 'SWEEP_CRON'))
    const [{ id }] = (await runtime.rows(
      `select "id" from "JobWorker" order by "startedAt" desc limit 1`,
    )) as [{ id: string }]
    const change = `${monthly.schedule?.cron} in UTC by SWEEP_CRON, before: ${hourly.schedule?.cron} in UTC`
    expect(await changes()).toEqual([
      { action: 'reschedule', name: 'sweep', actor: id, reason: change },
    ])
    const told = async (hours: number) => {
      const [{ at }] = (await runtime.rows(
        `update "JobSchedule" set "updatedAt" = "at" from "JobAction" returning "at"`,
      )) as [{ at: Date }]
      const now = new Date(at.getTime() + hours * 3_600_000)
      const { problems } = await listProblems(client.reader, [monthly], now)
      return problems.filter(({ kind }) => kind === 'rescheduled')
    }
    expect(await told(23)).toMatchObject([{ name: 'sweep', by: id, change }])
    expect(await told(25)).toEqual([])
  })

  it('leaves it to that one while it lives, and to any other that has the same', async () => {
    const worker = await startWorker(monthly)
    const [first, second] = [await startWorker(hourly), await startWorker(hourly)]
    await first.stop()
    await worker.pass()
    clock.set('2026-05-03T11:00:00Z')
    await worker.pass()
    await second.until('the tick of eleven', isDecided('11:00'))
    expect(runtime.lines.filter(({ level }) => Number(level) > 30)).toMatchObject([
      { name: 'sweep', msg: expect.stringContaining('another schedule') },
    ])
  })

  it('goes on where the row is put back by hand', async () => {
    const worker = await startWorker(hourly)
    await startWorker(monthly)
    clock.set('2026-05-03T11:00:00Z')
    await worker.pass()
    await runtime.rows(`update "JobSchedule" set "cron" = '0 * * * *'`)
    await worker.until('the tick of eleven', isDecided('11:00'))
    expect(await ticks()).toEqual(['11:00'])
  })

  it('is late, whoever looks, and says since when', async () => {
    await startWorker(hourly)
    await startWorker(monthly)
    clock.set('2026-05-03T11:00:59Z')
    expect([await health(hourly), await health(monthly)]).toEqual([[], []])
    clock.set('2026-05-03T12:30:00Z')
    const late = [{ kind: 'late', name: 'sweep', since: '2026-05-03T11:00:00.000Z' }]
    expect([await health(hourly), await health(monthly)]).toEqual([late, late])
  })
})

describe('of workers that define a schedule differently, the one that started last decides', () => {
  const halfPast = sweepAt('30 * * * *')
  const definition = () => runtime.column<string>('select "cron" from "JobSchedule"')

  it('also after somebody has deleted the row', async () => {
    const worker = await startWorker(hourly)
    const other = await startWorker(monthly)
    await runtime.rows('delete from "JobSchedule"')
    clock.set('2026-05-03T12:30:00Z')
    await worker.pass()
    expect([await definition(), await ticks()]).toEqual([[], []])
    await other.pass()
    expect(await definition()).toEqual(['0 0 1 * *'])
  })

  it('also after they have had to sign up again', async () => {
    const worker = await startWorker(hourly)
    const other = await startWorker(monthly)
    await runtime.rows('update "JobWorker" set "schedules" = null')
    for (const each of [worker, other, worker]) {
      await each.pass()
      expect(await definition()).toEqual(['0 0 1 * *'])
    }
  })

  it('also where two have started while a transaction held the row', async () => {
    await startWorker(hourly)
    const started: Awaited<ReturnType<typeof startWorker>>[] = []
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobSchedule" for update')
      for (const job of [halfPast, monthly]) started.push(await startWorker(job))
    })
    for (const each of started.toReversed()) await each.pass()
    expect(await definition()).toEqual(['0 0 1 * *'])
  })

  it('and who takes the schedule back owes none of the ticks that were due before', async () => {
    const worker = await startWorker(hourly)
    const other = await startWorker(halfPast)
    clock.set('2026-05-03T11:30:00Z')
    await other.until('the tick of half past', isDecided('11:30'))
    await worker.pass()
    await other.stop()
    await runtime.rows('delete from "JobSchedule"')
    clock.set('2026-05-03T12:00:20Z')
    await worker.until('the tick of noon', isDecided('12:00'))
    expect(await ticks()).toEqual(['11:30', '12:00'])
  })

  it('and the ticks of the others are late, also when its own go on', async () => {
    await startWorker(hourly)
    const other = await startWorker(halfPast)
    clock.set('2026-05-03T11:30:00Z')
    await other.until('the tick of half past', isDecided('11:30'))
    await other.until(
      'the end of its run',
      async () => (await runtime.rows('select from "JobRun"')).length,
    )
    expect(await health(halfPast)).toEqual([
      { kind: 'late', name: 'sweep', since: '2026-05-03T11:00:00.000Z' },
    ])
  })
})

describe('a row that somebody has deleted', () => {
  it('comes back, and no tick is lost or decided twice', async () => {
    const worker = await startWorker(hourly)
    clock.set('2026-05-03T11:00:00Z')
    await worker.until('the tick of eleven', isDecided('11:00'))
    await runtime.rows('delete from "JobSchedule"')
    clock.set('2026-05-03T13:00:00Z')
    await worker.until('the tick of one', isDecided('13:00'))
    expect(await ticks()).toEqual(['11:00', '12:00', '13:00'])
    await waitFor(async () => (await runtime.rows('select from "JobRun"')).length === 3)
  })

  it('comes back before its next tick is due', async () => {
    const worker = await startWorker(monthly)
    await runtime.rows('delete from "JobSchedule"')
    const read = () => runtime.rows('select "name", "cron" from "JobSchedule"')
    await worker.until('the row', async () => (await read()).length)
    expect(await read()).toEqual([{ name: 'sweep', cron: '0 0 1 * *' }])
  })
})

describe('while a transaction of the host holds the row of a schedule', () => {
  /** Has such a transaction open meanwhile. */
  async function whilePausing(work: () => Promise<void>): Promise<void> {
    await runtime.prisma.$transaction(
      async (tx) => {
        expect(await client.pauseSchedule('sweep', by, { tx })).toBe('paused')
        await work()
      },
      { timeout: 60_000 },
    )
  }

  it('a worker with the same schedule starts', async () => {
    await startWorker(hourly)
    await whilePausing(async () => {
      expect((await startWorker(hourly)).isReady()).toBe(true)
    })
  })

  it('a worker with another one starts, says who holds it, and registers its own afterwards', async () => {
    await startWorker(monthly)
    let worker: Awaited<ReturnType<typeof startWorker>> | undefined
    await whilePausing(async () => {
      worker = await startWorker(hourly)
      await worker.pass()
      // Workers have short ones of their own.
      const holder = await runtime.value<number>(
        `select pid from pg_stat_activity where datname = current_database() and state = 'idle in transaction' order by xact_start`,
      )
      expect(runtime.lines.filter(({ level }) => level === 40)).toMatchObject([
        { name: 'sweep', heldBy: [{ pid: holder }] },
      ])
    })
    await client.resumeSchedule('sweep', by)
    clock.set('2026-05-03T11:00:00Z')
    await worker?.until('the tick of eleven', isDecided('11:00'))
  })

  it('for ever, a worker with another one starts, and the schedule is late', async () => {
    await startWorker(monthly)
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobSchedule" for update`)
      await startWorker(hourly)
      clock.set('2026-05-03T11:30:00Z')
      expect(await health(hourly)).toMatchObject([{ kind: 'late', name: 'sweep' }])
    })
  })

  it('inserted and not committed, a worker starts, and has its other schedules decided', async () => {
    await runtime.database.transaction(async (tx) => {
      await tx.query(
        `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt")
         values ('sweep', '0 * * * *', 'UTC', now(), now())`,
      )
      const worker = await startWorker(hourly, daily)
      expect(worker.isReady()).toBe(true)
      expect(runtime.lines.filter(({ level }) => level === 40)).toMatchObject([{ name: 'sweep' }])
      const rows = `select "name" from "JobSchedule"`
      expect(await runtime.rows(rows)).toEqual([{ name: 'daily' }])
    })
  })

  it('a worker starts beside an impossible cursor in it', async () => {
    await startWorker(hourly)
    await runtime.rows(`update "JobSchedule" set "cursor" = 'infinity'`)
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select from "JobSchedule" for update`)
      expect((await startWorker(hourly)).isReady()).toBe(true)
    })
  })
})
