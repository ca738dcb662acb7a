// Not quick: simulates days of runs, and asks the judge at each hour.
import { useLivingWorkers } from '@roundsman/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { isFailing, readFailures } from '../../src/judge/findFailing.ts'
import { judgeJobs } from '../../src/judge/judgeJobs.ts'
import type { Problem } from '../../src/judge/problem.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import {
  createDraw,
  drawHour,
  drawQueue,
  habits,
  queueHabits,
  type DrawnPiece,
  type DrawnRun,
  type Habits,
} from './drawHistory.ts'

/*
 * How often the judge is wrong about jobs without a fault. To measure a month of a hundred jobs, with a seed of your own:
 *
 *   QUIET_JOBS=100 QUIET_DAYS=30 QUIET_SEED=7 pnpm exec vitest run packages/engine/test/judge/falseAlarms.test.ts -t quiet
 */
const JOBS = Number(process.env['QUIET_JOBS'] ?? 24)
const DAYS = Number(process.env['QUIET_DAYS'] ?? 10)
const SEED = Number(process.env['QUIET_SEED'] ?? 4_711)
const HOUR_MS = 3_600_000
/** A Monday. */
const START = Date.parse('2026-06-01T00:00:00Z')

const runtime = useTestRuntime({ cleared: ['JobWorker', 'JobFormerWorker'] })
useLivingWorkers(() => runtime.url, 'w')

/** Lets jobs run hour by hour, and returns what the judge tells of each at the end of each hour that is told, or else of all. */
async function* simulate(
  all: readonly { habits: Habits; faultMs?: number }[],
  hours: number,
  isJudged: (hour: number) => boolean = () => true,
): AsyncGenerator<{ now: Date; told: Problem[] }> {
  const jobs = all.map((_, nth) => defineJob({ name: `job${nth}` }))
  const draws = all.map((_, nth) => createDraw(SEED * 1_000 + nth))
  for (let hour = 0; hour < hours; hour++) {
    const from = START + hour * HOUR_MS
    const runs = all.flatMap(({ habits: of, faultMs }, nth) =>
      drawHour(of, draws[nth]!, from, START, faultMs).map((run) => ({ ...run, name: `job${nth}` })),
    )
    await insert(runs)
    if (hour % 24 === 0) await runtime.rows('analyze "JobRun"')
    if (!isJudged(hour)) continue
    const now = new Date(from + HOUR_MS)
    const { problems } = await judgeJobs(runtime.reader, jobs, now)
    const told = problems.filter(({ kind, stage }) => kind === 'failing' && stage !== 'over')
    yield { now, told }
  }
}

async function insert(runs: readonly (DrawnRun & { name: string })[]): Promise<void> {
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode")
     select gen_random_uuid(), name, (case when failed then 'failed' else 'success' end)::"JobRunStatus", 'queue', worker,
            to_timestamp(at / 1000), to_timestamp((at + ms) / 1000), case when failed then 'broken' end
     from unnest($1::text[], $2::float8[], $3::float8[], $4::boolean[], $5::text[]) run(name, at, ms, failed, worker)`,
    [
      runs.map(({ name }) => name),
      runs.map(({ at }) => at),
      runs.map(({ ms }) => ms),
      runs.map(({ isFailed }) => isFailed),
      runs.map(({ workerId }) => workerId),
    ],
  )
}

it('the judge is quiet about jobs without a fault', { timeout: 3_600_000 }, async () => {
  const drawn = fc.sample(habits, { seed: SEED, numRuns: JOBS })
  const draws = drawn.map((_, nth) => createDraw(SEED * 1_000 + nth))
  const jobs = drawn.map((_, nth) => defineJob({ name: `job${nth}` }))
  const begun = new Map<string, number>()
  const told = new Set<string>()
  async function look(of: typeof jobs, now: number): Promise<void> {
    const failures = await readFailures(runtime.reader, of, new Date(now))
    for (const { name } of of) {
      const its = failures.find((one) => one.name === name)
      const isTold = its !== undefined && isFailing(its, { wasTold: told.has(name) })
      if (isTold && !told.has(name)) begun.set(name, (begun.get(name) ?? 0) + 1)
      told[isTold ? 'add' : 'delete'](name)
    }
  }
  // Watchers look every 15 s, and an alarm begins with a failure. So this looks after each, and at the end of each hour.
  for (let hour = 0; hour < DAYS * 24; hour++) {
    const from = START + hour * HOUR_MS
    const runs = drawn
      .flatMap((of, nth) =>
        drawHour(of, draws[nth]!, from, START).map((run) => ({ ...run, name: `job${nth}` })),
      )
      .toSorted((one, other) => one.at + one.ms - other.at - other.ms)
    let inserted = 0
    for (const [nth, { name, at, ms, isFailed }] of runs.entries()) {
      if (!isFailed) continue
      await insert(runs.slice(inserted, nth + 1))
      inserted = nth + 1
      await look(
        jobs.filter((job) => job.name === name),
        at + ms,
      )
    }
    await insert(runs.slice(inserted))
    if (hour % 24 === 0) await runtime.rows('analyze "JobRun"')
    await look(jobs, from + HOUR_MS)
  }
  const alarms = [...begun.values()].reduce((sum, count) => sum + count, 0)
  const perMonth = (alarms / JOBS / DAYS) * 30
  console.info(
    `${alarms} false alarms of ${JOBS} jobs in ${DAYS} days: ${perMonth.toFixed(2)} a job and month`,
  )
  for (const [one, count] of [...begun].toSorted(([, x], [, y]) => y - x)) {
    const nth = Number(one.slice('job'.length))
    console.info(`${count} × ${one}`, JSON.stringify(drawn[nth]))
  }
  expect(perMonth).toBeLessThanOrEqual(1)
})

const MINUTE_MS = 60_000
const WARM_MS = 6 * HOUR_MS
const LOOK_MS = 37 * MINUTE_MS

/** Writes the queues as they are at an instant, which is now, and returns of which a backlog is told. */
async function tellBacklogs(queues: readonly DrawnPiece[][], at: number): Promise<string[]> {
  await runtime.clear('JobWorker')
  const all = queues.flatMap((pieces, nth) => pieces.map((one) => ({ ...one, name: `job${nth}` })))
  const insertThose = async (text: string, pieces: typeof all) =>
    await runtime.rows(
      `with piece as (
         select name, now() + due * interval '1 ms' as due, now() + start * interval '1 ms' as start, now() + "end" * interval '1 ms' as "end"
         from unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) piece(name, due, start, "end")
       ) ${text}`,
      [
        pieces.map(({ name }) => name),
        pieces.map(({ dueAt }) => dueAt - at),
        pieces.map(({ startsAt }) => (startsAt < Infinity ? startsAt - at : 0)),
        pieces.map(({ endsAt }) => (endsAt < Infinity ? endsAt - at : 0)),
      ],
    )
  await insertThose(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
     select gen_random_uuid(), name, 'success', 'queue', 'w', start, "end" from piece`,
    all.filter(({ endsAt, startsAt }) => startsAt < Infinity && endsAt <= at),
  )
  await insertThose(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
     select gen_random_uuid(), name, 'w', start, now() + interval '1 day', array[gen_random_uuid()], array[due] from piece`,
    all.filter(({ startsAt, endsAt }) => startsAt <= at && endsAt > at),
  )
  await insertThose(
    `insert into "JobWork" ("id", "name", "dueAt", "place", "bytes", "payload")
     select gen_random_uuid(), name, due, row_number() over (order by due), 2, '{}' from piece`,
    all.filter(({ startsAt }) => startsAt > at),
  )
  await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w', $1)`, [
    Object.fromEntries(queues.map((_, nth) => [`job${nth}`, 1])),
  ])
  await runtime.rows('analyze "JobRun", "JobClaim", "JobWork"')
  const jobs = queues.map((_, nth) => defineJob({ name: `job${nth}`, timeoutMs: 20 * HOUR_MS }))
  const { problems } = await judgeJobs(runtime.reader, jobs, new Date())
  return problems.flatMap(({ kind, jobs: its }) => (kind === 'backlog' ? its : []))
}

/** What could be of any use: the last runs of an hour and more, and what is under way or waits. */
const seenAt = (at: number) => (all: readonly DrawnPiece[]) => {
  const pieces = all.filter(({ dueAt }) => dueAt <= at)
  const ended = pieces.filter(({ endsAt, startsAt }) => startsAt < Infinity && endsAt <= at)
  return [
    ...ended.slice(-1_100),
    ...pieces.filter(({ startsAt, endsAt }) => startsAt > at || endsAt > at),
  ]
}

it('the judge is quiet about queues that keep up', { timeout: 3_600_000 }, async () => {
  const drawn = fc.sample(queueHabits, { seed: SEED, numRuns: JOBS })
  const looks = DAYS
  const stopsAt = WARM_MS + looks * LOOK_MS
  const endsAt = stopsAt + 6 * HOUR_MS
  const queues = drawn.map((of, nth) =>
    drawQueue(of, createDraw(SEED * 1_000 + nth), endsAt, stopsAt),
  )
  const alarms = new Map<string, number>()
  let [asked, waited] = [0, 0]
  for (let look = 0; look < looks; look++) {
    const at = WARM_MS + look * LOOK_MS
    const told = await tellBacklogs(queues.map(seenAt(at)), at)
    for (const [nth, pieces] of queues.entries()) {
      const waiting = pieces.filter(({ dueAt, startsAt }) => dueAt <= at && startsAt > at)
      const startsIn = Math.max(0, ...waiting.map(({ startsAt }) => startsAt - at))
      asked += 1
      if (waiting.some(({ dueAt }) => at - dueAt >= MINUTE_MS)) waited += 1
      // All that waits starts within the hour.
      if (told.includes(`job${nth}`) && startsIn < HOUR_MS / 2)
        alarms.set(`job${nth}`, (alarms.get(`job${nth}`) ?? 0) + 1)
    }
  }
  const wrong = [...alarms.values()].reduce((sum, count) => sum + count, 0)
  console.info(
    `${wrong} of ${asked} looks at queues told a backlog wrongly; of ${waited} something had waited for a minute`,
  )
  for (const [one, count] of [...alarms].toSorted(([, a], [, b]) => b - a))
    console.info(`${count} × ${one}`, JSON.stringify(drawn[Number(one.slice(3))]))
  expect(waited).toBeGreaterThan(asked / 20)
  expect(wrong / asked).toBeLessThan(0.01)
  // And it tells of each that stops.
  expect((await tellBacklogs(queues.map(seenAt(endsAt)), endsAt)).toSorted()).toEqual(
    queues.map((_, nth) => `job${nth}`).toSorted(),
  )
})

const steady: Omit<Habits, 'perHour' | 'scatter' | 'rhythm'> = {
  medianMs: 80,
  failing: 0,
  restsAtWeekends: false,
  firstDay: 0,
  deployHours: 1e6,
}
/** The fault comes with a deploy, on the fourth day and some minutes. */
const FAULT_HOUR = 75
const FAULT_AT = START + (FAULT_HOUR + 0.2) * HOUR_MS
/** Before the fault the judge is asked now and then, at any hour of the day. */
const isJudged = (hour: number) => hour % 5 === 0 || hour >= FAULT_HOUR - 1

it(
  'a job half of which fails is told within two hours, since its first failure and with its version',
  { timeout: 120_000 },
  async () => {
    const drawn = fc.sample(
      fc.record({
        perHour: fc.constantFrom(12, 30, 300),
        scatter: fc.constantFrom(0.1, 0.3),
        rhythm: fc.constantFrom(0, 0.3),
      }),
      { seed: SEED, numRuns: 4 },
    )
    await runtime.rows(
      `insert into "JobFormerWorker" values ('version 0', '0.2.0', to_timestamp($1 / 1000.0), now()),
       ('faulty', '0.2.1', to_timestamp($2 / 1000.0), now())`,
      [START, FAULT_AT],
    )
    const all = drawn.map((one) => ({ habits: { ...steady, ...one }, faultMs: FAULT_AT }))
    const toldAt = new Map<string, number>()
    for await (const { now, told } of simulate(all, FAULT_HOUR + 3, isJudged)) {
      expect(told.length === 0 || now.getTime() > FAULT_AT).toBe(true)
      for (const { jobs, since, text } of told) {
        for (const name of jobs) if (!toldAt.has(name)) toldAt.set(name, now.getTime())
        const first = await runtime.value<Date>(
          `select min("startedAt") from "JobRun" where "name" = any($1::text[]) and "errorCode" is not null`,
          [jobs],
        )
        expect(since).toBe(first.toISOString())
        expect(text).toContain('version 0.2.1')
      }
    }
    expect(toldAt.size).toBe(all.length)
    expect(Math.max(...toldAt.values()) - FAULT_AT).toBeLessThan(2 * HOUR_MS)
  },
)
