import { useLivingWorkers } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { judgeJobs } from '../../src/judge/judgeJobs.ts'
import { insertPieces, type TestPiece } from '../insertPieces.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: ['JobWorker', 'JobThrottle', 'JobLimit', 'JobKey'] })
useLivingWorkers(() => runtime.url, 'w1')
const MINUTE = 60
const TEN_MINUTES = 10 * MINUTE

interface Situation {
  /** How long a run takes, in seconds, and how long ago the last forty started. */
  seconds: number
  started: (nth: number) => number
  /** How long ago those under way started. */
  running: readonly number[]
  /** How long what waits has been due. */
  waiting: readonly number[]
}

const times = <T>(count: number, each: (nth: number) => T) =>
  Array.from({ length: count }, (_, nth) => each(nth))
/** Runs of ten minutes, of which the last ended before these minutes, and one began each quarter of an hour. */
const endedBefore = (minutes: number) => (nth: number) => (minutes + 10 + nth * 15) * MINUTE
const seldom = (nth: number) => (nth + 2) * 3_600
const often = (nth: number) => nth * 3

const QUIET: [string, Situation][] = [
  [
    'one piece waits behind a run of ten minutes',
    { seconds: TEN_MINUTES, started: endedBefore(4), running: [540], waiting: [530] },
  ],
  [
    'as many as two lanes do in half an hour wait',
    {
      seconds: TEN_MINUTES,
      started: endedBefore(4),
      running: [540, 70],
      waiting: times(5, () => 400),
    },
  ],
  [
    'workers take it again after an hour without any',
    { seconds: 2, started: (nth) => nth / 4, running: [1], waiting: times(200, () => 3_600) },
  ],
  [
    'none starts, and nothing has waited for five minutes',
    { seconds: 2, started: seldom, running: [], waiting: [290] },
  ],
]

const TOLD: [string, Situation][] = [
  [
    'more waits than is done in an hour',
    { seconds: TEN_MINUTES, started: endedBefore(4), running: [540], waiting: times(7, () => 400) },
  ],
  [
    'much waits and becomes less',
    { seconds: 2, started: often, running: [1], waiting: times(3_000, (nth) => 7_200 + nth) },
  ],
  [
    'the run that it waits behind takes much longer than usual',
    { seconds: TEN_MINUTES, started: endedBefore(30), running: [1_800], waiting: [400] },
  ],
  [
    'nothing is under way that it could wait for',
    { seconds: TEN_MINUTES, started: endedBefore(6), running: [], waiting: [310] },
  ],
  ['runs are short, and none starts', { seconds: 2, started: seldom, running: [], waiting: [310] }],
]

describe('a job with a rate limit and short runs', () => {
  const job = defineJob({ name: 'import', rateLimit: { limit: 2, perMs: 3_600_000 } })
  /** The last run started as long ago as the limit lets the next one wait. */
  const isTold = async (pieces: number, freeIn: string) => {
    await insertPieces(
      runtime.rows,
      times(pieces, () => ({ name: 'import', state: 'waiting', secondsAgo: 600 })),
    )
    await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w1', '{"import": 1}')`)
    await runtime.rows(
      `insert into "JobLimit" ("name", "rateLimit", "ratePerMs", "rateBy") values ('job:import', 2, 3600000, 'job')`,
    )
    await runtime.rows(
      `insert into "JobThrottle" ("name", "freeAt") values ('import', now() + $1::interval)`,
      [freeIn],
    )
    const { problems, backlog } = await judgeJobs(runtime.reader, [job], new Date())
    return { isTold: problems.some(({ kind }) => kind === 'backlog'), row: backlog[0]! }
  }

  it('is not standing still while the limit holds it up', async () => {
    const { isTold: told, row } = await isTold(1, '20 minutes')
    expect(told).toBe(false)
    expect(row).toMatchObject({ caughtUpInMs: 1_800_000 })
  })

  it('is behind where more waits than the limit lets start in an hour', async () => {
    const { isTold: told, row } = await isTold(9, '20 minutes')
    expect(told).toBe(true)
    expect(row.caughtUpInMs).toBe(9 * 1_800_000)
  })

  it('stands still where the limit would let a run start', async () => {
    const { isTold: told, row } = await isTold(1, '-6 seconds')
    expect(told).toBe(true)
    expect(row).toMatchObject({ perSecond: 0, caughtUpInMs: null })
  })
})

it.each([
  ...QUIET.map(([what, situation]) => [what, false, situation] as const),
  ...TOLD.map(([what, situation]) => [what, true, situation] as const),
])('where %s, a backlog is told: %s', async (_, isTold, situation) => {
  const { seconds, started, running, waiting } = situation
  const piece = (state: TestPiece['state']) => (secondsAgo: number) => ({
    name: 'import',
    state,
    secondsAgo,
  })
  await insertPieces(runtime.rows, [
    ...running.map(piece('active')),
    ...waiting.map(piece('waiting')),
  ])
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
     select gen_random_uuid(), 'import', 'success', 'queue', 'w1', at, at + $2 * interval '1 second'
     from unnest($1::float8[]) ago, lateral (select now() - (ago + $2) * interval '1 second') row(at)
     order by ago::int % 7`,
    [times(40, (nth) => Math.max(0, started(nth) - seconds)), seconds],
  )
  await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w1', '{"import": 1}')`)
  const { problems, backlog } = await judgeJobs(
    runtime.reader,
    [defineJob({ name: 'import', timeoutMs: 7_200_000 })],
    new Date(),
  )
  expect(problems.some(({ kind }) => kind === 'backlog')).toBe(isTold)
  const [sql] = await runtime.rows<{ waiting: number; drainMs: number | null }>(
    `select (select count(*)::int from "JobWork") as "waiting",
            (select 1000 * extract(epoch from avg("endedAt" - "startedAt")) from "JobRun")::float8
              * (select count(*) from "JobWork") / nullif((select count(*) from "JobClaim"), 0) as "drainMs"`,
  )
  expect(backlog[0]).toMatchObject({
    ready: sql!.waiting,
    // What is under way says how fast work is taken, where that takes long.
    ...(seconds === TEN_MINUTES &&
      running.every((ago) => ago < 2 * seconds) &&
      running.length > 0 && {
        caughtUpInMs: Math.round(sql!.drainMs!),
      }),
  })
})

it('counts nothing of a paused key as work that could start, nor its age', async () => {
  await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('w1', '{"import": 1}')`)
  await runtime.rows(
    `insert into "JobKey" ("name", "key", "pausedUntil", "pausedBy", "pausedAt") values ('import', 'acme', 'infinity', 'max', now())`,
  )
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "dueAt", "bytes", "key")
     select gen_random_uuid(), 'import', now() - ago, 2, key from (
       values ('acme', interval '50 minutes', 12), ('other', interval '1 minute', 7)
     ) of(key, ago, count), generate_series(1, count)`,
  )
  const { backlog, problems } = await judgeJobs(
    runtime.reader,
    [defineJob({ name: 'import', timeoutMs: 7_200_000 })],
    new Date(),
  )
  expect(problems).toEqual([])
  expect(backlog).toMatchObject([
    { due: 19, ready: 7, state: '12 of 19 wait for paused key acme; the rest: none starts' },
  ])
  expect(Math.round(backlog[0]!.oldestMs / 60_000)).toBe(1)
})
