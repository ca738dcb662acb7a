// Not quick: takes fleets of workers through drawn ups and downs.
import { fakeClock, type FakeClock } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { defineJob, nextTick, type ScheduledJob } from '../../src/index.ts'
import { nextTicks } from '../../src/internal.ts'
import { createScheduler, type Scheduler } from '../../src/tick/scheduler.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

/** What each version of a product defines: other expressions, zones and options, and jobs that come and go. */
const VERSIONS = [
  { hourly: '0 * * * *', often: '*/7 * * * *' },
  { hourly: '0 0 1 * *', often: '*/7 * * * *', added: '30 * * * *' },
  { hourly: '20 * * * *', added: '*/20 * * * *' },
].map((crons, version) =>
  Object.entries(crons).map(
    ([name, cron]) =>
      defineJob({
        name,
        schedule: {
          cron,
          timeZone: version === 2 ? 'Asia/Kolkata' : 'UTC',
          ...(version === 1 ? { missed: 'all', overlap: 'queue' } : { overlap: 'allow' }),
        },
      }) as ScheduledJob,
  ),
)
const NAMES = ['hourly', 'often', 'added'] as const
const MINUTE_MS = 60_000
const START = '2026-05-01T12:00:30Z'

type Step =
  | { do: 'start'; version: number; clockMs: number }
  | { do: 'stop' | 'kill'; which: number }
  | { do: 'move'; which: number; clockMs: number }
  | { do: 'pause' | 'resume' | 'delete'; name: (typeof NAMES)[number] }
  | { do: 'forget' }
  | { do: 'pass'; minutes: number }

const drawVersion = fc.nat(VERSIONS.length - 1)
/** How far a worker's clock is behind. One that is ahead is bound to the database's, which is not the time of this test. */
const drawClockMs = fc.oneof(fc.constant(0), fc.integer({ min: -90_000, max: 0 }))
const drawWhich = fc.nat(9)
const drawName = fc.constantFrom(...NAMES)
const drawStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      version: drawVersion,
      clockMs: drawClockMs,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('stop' as const, 'kill' as const),
      which: drawWhich,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      which: drawWhich,
      clockMs: drawClockMs,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('pause' as const, 'resume' as const, 'delete' as const),
      name: drawName,
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'forget' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      minutes: fc.integer({ min: 1, max: 90 }),
    }),
  },
)

/** The tick of 12:56 is due, and the only worker's clock has not come to it when somebody removes the row. */
const REMOVED_BEFORE_ITS_TICK: Step[] = [
  { do: 'start', version: 0, clockMs: -30_001 },
  { do: 'pass', minutes: 56 },
  { do: 'delete', name: 'often' },
]

interface Member {
  id: string
  jobs: readonly ScheduledJob[]
  scheduler: Scheduler
  clockMs: number
}

interface Row {
  name: string
  cron: string
  timeZone: string
  cursor: Date
}

const runtime = useTestRuntime()

it('no due tick of a job that a living worker defines stays undecided, and none is decided twice', async () => {
  expect.hasAssertions()
  await fc.assert(
    fc.asyncProperty(fc.array(drawStep, { minLength: 3, maxLength: 25 }), async (steps) => {
      await runtime.clear('JobTick', 'JobSchedule', 'JobWorker')
      const fleet = openFleet(fakeClock(START))
      for (const next of steps) await fleet.take(next)
      await fleet.take({ do: 'start', version: 0, clockMs: 0 })
      await fleet.take({ do: 'pass', minutes: 130 })
      await fleet.end()
    }),
    { numRuns: 20, examples: [[REMOVED_BEFORE_ITS_TICK]] },
  )
}, 300_000)

/** A fleet, and what has to hold of it whenever time has passed. */
function openFleet(clock: FakeClock) {
  const members: Member[] = []
  let started = 0
  /** Which schedules were in force when time had last passed, and whose workers have lived since. */
  let before: { at: number; rows: Row[]; ids: string[] } | null = null

  async function take(step: Step): Promise<void> {
    switch (step.do) {
      case 'start':
        return await start(step.version, step.clockMs)
      case 'stop':
      case 'kill': {
        const [member] = members.splice(step.which % Math.max(1, members.length), 1)
        if (!member) return
        if (step.do === 'stop') await member.scheduler.stop()
        await runtime.rows('delete from "JobWorker" where "id" = $1', [member.id])
        return
      }
      case 'move': {
        const member = members[step.which % Math.max(1, members.length)]
        if (member) member.clockMs = step.clockMs
        return
      }
      case 'pause':
      case 'resume':
        await runtime.rows(
          `update "JobSchedule" set "pausedAt" = case when $2 then now() end where "name" = $1`,
          [step.name, step.do === 'pause'],
        )
        return
      case 'delete':
        await runtime.rows('delete from "JobSchedule" where "name" = $1', [step.name])
        return
      case 'forget':
        // Somebody has removed all workers' rows, and they have signed up again.
        await runtime.rows('update "JobWorker" set "schedules" = null')
        return
      case 'pass':
        clock.advance(step.minutes * MINUTE_MS)
        return await settle()
      default:
        step satisfies never
    }
  }

  async function start(version: number, clockMs: number): Promise<void> {
    const id = `w${started++}`
    const jobs = VERSIONS[version] ?? []
    const lanes = Object.fromEntries(jobs.map(({ name }) => [name, 1]))
    await runtime.rows(`insert into "JobWorker" ("id", "startedAt", "lanes") values ($1, $2, $3)`, [
      id,
      new Date(clock.now().getTime() + started),
      lanes,
    ])
    const member: Member = { id, jobs, clockMs, scheduler: undefined as never }
    member.scheduler = createScheduler({
      jobs,
      database: runtime.database,
      workerId: id,
      log: runtime.log,
      now: () => new Date(clock.now().getTime() + member.clockMs),
      clock: () => ({ stop: () => undefined }),
    })
    members.push(member)
    await member.scheduler.start()
  }

  /** Lets all look once more at what others have done, and then checks. */
  async function settle(): Promise<void> {
    await runtime.rows('update "JobWorker" set "heartbeatAt" = statement_timestamp()')
    for (let second = 0; second < 62; second++) {
      await Promise.all(members.map(({ scheduler }) => scheduler.wake()))
    }
    const rows = await runtime.rows<Row>(
      'select "name", "cron", "timeZone", "cursor" from "JobSchedule"',
    )
    for (const name of NAMES) checkRow(name, rows)
    await checkLedger(rows)
    const at = clock.now().getTime()
    before = { at, rows, ids: members.map(({ id }) => id) }
  }

  /** Workers that live and define the row's schedule. */
  const holders = (row: Row) =>
    members.filter(({ jobs }) => jobs.some((job) => job.name === row.name && isOf(job, row)))

  function checkRow(name: string, rows: readonly Row[]): void {
    const last = members.findLast(({ jobs }) => jobs.some((job) => job.name === name))
    if (!last) return
    const row = rows.find((each) => each.name === name)
    const owners = row ? holders(row) : []
    expect(owners, `living workers that define the schedule of ${name}`).toContain(last)
    // The clock that is furthest ahead counts, since its worker decides.
    const latest = clock.now().getTime() + Math.max(...owners.map((member) => member.clockMs))
    const next = row && nextTick(row, row.cursor)
    expect(next === null || Number(next) > latest, `${name} is due at ${next?.toISOString()}`).toBe(
      true,
    )
  }

  /** What was in force all the time, and had a worker all the time, has all of its ticks; and no tick has two pieces of work. */
  async function checkLedger(rows: readonly Row[]): Promise<void> {
    const ledger = await runtime.rows<{ name: string; from: Date; to: Date }>(
      `select "name", "scheduledFor" as "from", coalesce("through", "scheduledFor") as "to" from "JobTick"`,
    )
    const isDecided = (name: string, tick: Date) =>
      ledger.some((entry) => entry.name === name && entry.from <= tick && tick <= entry.to)
    for (const row of rows) {
      const same = before?.rows.find((each) => each.name === row.name)
      if (!before || same?.cron !== row.cron || same.timeZone !== row.timeZone) continue
      const lasting = holders(row).filter(({ id }) => before?.ids.includes(id))
      if (lasting.length === 0) continue
      const until = clock.now().getTime() + Math.min(0, ...lasting.map((member) => member.clockMs))
      for (const tick of nextTicks(row, same.cursor)) {
        if (tick.getTime() > until) break
        expect(isDecided(row.name, tick), `${row.name} at ${tick.toISOString()}`).toBe(true)
      }
    }
    const twice = await runtime.rows(
      `select "name", "facts" ->> 'scheduledFor' from "JobWork" group by 1, 2 having count(*) > 1`,
    )
    expect(twice).toEqual([])
  }

  return {
    take,
    async end() {
      for (const { scheduler } of members) await scheduler.stop()
    },
  }
}

function isOf({ schedule }: ScheduledJob, row: Row): boolean {
  return schedule.cron === row.cron && schedule.timeZone === row.timeZone
}
