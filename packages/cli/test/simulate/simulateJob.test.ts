import { defineJob, isScheduled, type ScheduledJob, type ScheduleOptions } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { fakeClock, openForTests, waitFor } from '@roundsman/testing'
import { openTestDatabase } from '@roundsman/testing/openTestDatabase'
import { pino } from 'pino'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { comparePolicies, countOutcomes } from '../../src/simulate/comparePolicies.ts'
import { simulateJob, type SimulateJobOptions } from '../../src/simulate/simulateJob.ts'

const MINUTE_MS = 60_000
const at = (time: string) => new Date(`2026-05-01T${time}:00Z`)
const range = (from: string, to: string) => ({ from: at(from), to: at(to) })

function jobWith(schedule: Partial<ScheduleOptions>): ScheduledJob {
  const job = defineJob({
    name: 'sweep',
    schedule: { cron: '*/15 * * * *', ...schedule },
  })
  if (!isScheduled(job)) throw new Error('unreachable')
  return job
}

async function outcomesOf(
  schedule: Partial<ScheduleOptions>,
  options: Partial<SimulateJobOptions>,
) {
  const { ticks } = await simulateJob(jobWith(schedule), {
    ...range('00:00', '01:00'),
    outage: null,
    durationMs: 0,
    limit: 1_000,
    ...options,
  })
  return ticks.map(({ scheduledFor, outcome, startsAt }) => {
    const start = startsAt === null ? '' : ` ${startsAt.toISOString().slice(11, 16)}`
    return `${scheduledFor.toISOString().slice(11, 16)} ${outcome}${start}`
  })
}

describe('simulateJob', () => {
  it('runs each tick of a quiet range, the first instant included and the last not', async () => {
    expect(await outcomesOf({}, {})).toEqual([
      '00:00 enqueued 00:00',
      '00:15 enqueued 00:15',
      '00:30 enqueued 00:30',
      '00:45 enqueued 00:45',
    ])
  })

  it('skips, queues or allows what meets an earlier run', async () => {
    const options = { durationMs: 20 * MINUTE_MS }

    expect(await outcomesOf({ overlap: 'skip' }, options)).toEqual([
      '00:00 enqueued 00:00',
      '00:15 skipped',
      '00:30 enqueued 00:30',
      '00:45 skipped',
    ])
    expect(await outcomesOf({ overlap: 'queue' }, options)).toEqual([
      '00:00 enqueued 00:00',
      '00:15 enqueued 00:20',
      '00:30 enqueued 00:40',
      '00:45 enqueued 01:00',
    ])
    expect(await outcomesOf({ overlap: 'allow' }, options)).toEqual([
      '00:00 enqueued 00:00',
      '00:15 enqueued 00:15',
      '00:30 enqueued 00:30',
      '00:45 enqueued 00:45',
    ])
  })

  it('makes up for an outage when it is over, with what was due just then', async () => {
    const outage = range('00:10', '00:45')

    expect(await outcomesOf({}, { outage })).toEqual([
      '00:00 enqueued 00:00',
      '00:15 coalesced',
      '00:30 coalesced',
      '00:45 enqueued 00:45',
    ])
    expect(
      await outcomesOf({ missed: 'all', overlap: 'queue' }, { outage, durationMs: MINUTE_MS }),
    ).toEqual([
      '00:00 enqueued 00:00',
      '00:15 enqueued 00:45',
      '00:30 enqueued 00:46',
      '00:45 enqueued 00:47',
    ])
    expect(await outcomesOf({ missed: 'skip' }, { outage })).toEqual([
      '00:00 enqueued 00:00',
      '00:15 missed',
      '00:30 missed',
      '00:45 enqueued 00:45',
    ])
    expect(await outcomesOf({ catchUpMs: 20 * MINUTE_MS }, { outage })).toEqual([
      '00:00 enqueued 00:00',
      '00:15 missed',
      '00:30 coalesced',
      '00:45 enqueued 00:45',
    ])
  })

  it('starts anew after an outage what it has interrupted, which stands in the way', async () => {
    const options = { outage: range('00:05', '00:40'), durationMs: 10 * MINUTE_MS }

    expect(await outcomesOf({}, options)).toEqual([
      '00:00 enqueued 00:00',
      '00:15 skipped',
      '00:30 skipped',
      '00:45 skipped',
    ])
    const { runs, interrupted } = await simulateJob(jobWith({}), {
      ...range('00:00', '01:00'),
      limit: 100,
      ...options,
    })
    expect(interrupted).toEqual([
      { scheduledFor: at('00:00'), startsAt: at('00:00'), endsAt: at('00:10') },
    ])
    expect(runs).toEqual([
      { scheduledFor: at('00:00'), startsAt: at('00:40'), endsAt: at('00:50') },
    ])
  })

  it('ends at its limit, and says where', async () => {
    const simulation = await simulateJob(jobWith({}), {
      ...range('00:00', '10:00'),
      outage: null,
      durationMs: 0,
      limit: 3,
    })
    expect(simulation.ticks).toHaveLength(3)
    expect(simulation.cutAt).toEqual(at('00:45'))
  })

  it('loses and repeats no tick when the clocks are set', async () => {
    const berlin = jobWith({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' })
    const days = { from: new Date('2026-03-28T00:00Z'), to: new Date('2026-03-31T00:00Z') }
    const { ticks } = await simulateJob(berlin, { ...days, outage: null, durationMs: 0, limit: 10 })

    expect(ticks.map(({ scheduledFor }) => scheduledFor.toISOString())).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ])
  })
})

describe('comparePolicies', () => {
  it('tells of each pair of policies what it would do with the same outage', async () => {
    const outage = range('00:10', '00:40')
    const results = await comparePolicies(jobWith({}), {
      outage,
      durationMs: 15 * MINUTE_MS,
      runs: [{ scheduledFor: at('00:00'), startsAt: at('00:00'), endsAt: at('00:15') }],
      limit: 1_000,
    })

    const rows = results.map((row) => [
      `${row.missedPolicy} ${row.overlapPolicy}${row.isOwn ? ' own' : ''}`,
      row.enqueued,
      row.coalesced,
      row.missed,
      row.skipped,
    ])
    expect(rows).toEqual([
      ['once skip own', 0, 0, 0, 2],
      ['once queue', 1, 1, 0, 0],
      ['once allow', 1, 1, 0, 0],
      ['all queue', 2, 0, 0, 0],
      ['all allow', 2, 0, 0, 0],
      ['skip skip', 0, 0, 2, 0],
      ['skip queue', 0, 0, 2, 0],
      ['skip allow', 0, 0, 2, 0],
    ])
  })

  it('counts ticks, of which a row may stand for many', () => {
    expect(
      countOutcomes([
        { outcome: 'missed', count: 1_000 },
        { outcome: 'missed', count: 1 },
        { outcome: 'enqueued', count: 1 },
      ]),
    ).toEqual({ enqueued: 1, coalesced: 0, missed: 1_001, skipped: 0 })
  })
})

describe('what is simulated', () => {
  const OUTAGE = range('00:50', '02:05')
  const clock = fakeClock(at('00:10').toISOString())
  const database = openForTests(openTestDatabase)
  beforeEach(
    () =>
      database.prisma
        .$executeRaw`truncate "JobRun", "JobClaim", "JobTick", "JobSchedule", "JobWork", "JobDeadLetter", "JobPayload", "JobUnique"`,
  )

  /** A worker that looks at its schedule when it is told to, at the instant that it is given. */
  async function startWorker(job: ScheduledJob) {
    let wake: () => void = () => undefined
    const worker = createWorker({
      schema: 'public',
      retention: false,
      databaseUrl: database.url,
      client: database.prisma,
      jobs: [job],
      handlers: { [job.name]: async () => undefined },
      log: pino({ level: 'silent' }),
      now: clock.now,
      clock: (onSecond) => {
        wake = onSecond
        return { stop: () => undefined }
      },
    })
    await worker.start()
    onTestFinished(() => worker.stop())
    return {
      stop: () => worker.stop(),
      /** Resolves when the tick is in the ledger and nothing is left to do. */
      async decide(now: string, tick: string) {
        clock.set(at(now))
        wake()
        const id = { name: job.name, scheduledFor: at(tick) }
        await waitFor(() => database.prisma.jobTick.count({ where: id }))
        await waitFor(async () => {
          const [work] = await database.prisma.$queryRaw<{ left: number }[]>`
            select ((select count(*) from "JobWork") + (select count(*) from "JobClaim"))::int as "left"`
          return work?.left === 0
        })
      },
    }
  }

  it.each<Partial<ScheduleOptions>>([
    { missed: 'once' },
    { missed: 'once', catchUpMs: 40 * MINUTE_MS },
    { missed: 'all', overlap: 'queue', catchUpMs: 40 * MINUTE_MS },
    { missed: 'skip' },
  ])('is what workers write into the ledger, with %j', async (options) => {
    const schedule = { ...jobWith(options).schedule }
    const job: ScheduledJob = { ...jobWith({}), schedule }
    clock.set(at('00:10'))
    const before = await startWorker(job)
    for (const tick of ['00:15', '00:30', '00:45']) await before.decide(tick, tick)
    await before.stop()
    clock.set(OUTAGE.to)
    const after = await startWorker(job)
    await after.decide('02:05', '02:00')
    for (const tick of ['02:15', '02:30']) await after.decide(tick, tick)

    const ledger = await database.prisma.jobTick.findMany({
      select: { scheduledFor: true, outcome: true, reason: true, count: true, through: true },
      orderBy: { scheduledFor: 'asc' },
    })
    const simulated = await simulateJob(job, {
      ...range('00:10', '02:40'),
      outage: OUTAGE,
      durationMs: 0,
      limit: 100,
    })
    expect(
      simulated.ticks.map(({ scheduledFor, outcome, reason, count, through }) => ({
        scheduledFor,
        outcome,
        reason,
        count,
        through,
      })),
    ).toEqual(ledger)
    expect(ledger).toHaveLength(10)
  })
})
