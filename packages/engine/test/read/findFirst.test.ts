import { describe, expect, it } from 'vitest'
import { findFailingSince, findSlowSince, findVersions } from '../../src/read/findFirst.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: ['JobWorker', 'JobFormerWorker'] })
const NOW = new Date('2026-11-24T09:30:00Z')

interface Run {
  minutesAgo: number
  ms?: number
  code?: string | null
  workerId?: string
}

/** Inserts runs of the job `sweep`, in no order of time. */
async function insert(runs: readonly Run[]): Promise<void> {
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode")
     select gen_random_uuid(), 'sweep', case when code is null then 'success' else 'failed' end::"JobRunStatus", 'queue', worker,
            at, at + ms * interval '1 millisecond', code
     from unnest($2::float8[], $3::float8[], $4::text[], $5::text[]) run(minutes, ms, code, worker)
       cross join lateral (select $1::timestamptz - minutes * interval '1 minute' as at) instant
     order by minutes::int % 7`,
    [
      NOW,
      runs.map(({ minutesAgo }) => minutesAgo),
      runs.map(({ ms = 50 }) => ms),
      runs.map(({ code = null }) => code),
      runs.map(({ workerId = 'w' }) => workerId),
    ],
  )
}
const minutes = (from: number, to: number, of: Omit<Run, 'minutesAgo'> = {}) =>
  Array.from({ length: from - to }, (_, at) => ({ minutesAgo: from - at, ...of }))

async function ageOf(runId: string | null): Promise<number | null> {
  const [run] = await runtime.rows<{ minutes: number }>(
    `select (extract(epoch from $1::timestamptz - "startedAt") / 60)::float8 as "minutes" from "JobRun" where "id" = $2::uuid`,
    [NOW, runId],
  )
  return run?.minutes ?? null
}

describe('since when a job is slower', () => {
  const since = async () => await ageOf(await findSlowSince(runtime.reader, 'sweep', 150, NOW))

  it('is told to the run, however many runs there are', async () => {
    await insert([...minutes(1_000, 217), ...minutes(217, 0, { ms: 2_000 })])
    expect(await since()).toBe(217)
    // A thousand a minute on either side.
    await insert(minutes(2_000, 1_000).map((run, at) => ({ ...run, minutesAgo: 218 - at / 1_000 })))
    await insert(
      minutes(2_000, 1_000, { ms: 2_000 }).map((run, at) => ({
        ...run,
        minutesAgo: 216.9 - at / 1_000,
      })),
    )
    expect(await since()).toBe(217)
  })

  it('passes over one that is slow between others, and one that is fast', async () => {
    await insert([
      ...minutes(300, 121),
      { minutesAgo: 200.5, ms: 9_000 },
      { minutesAgo: 60.5, ms: 40 },
      ...minutes(120, 0, { ms: 2_000 }),
    ])
    expect(await since()).toBe(120)
  })

  it('is not told where that was more than a day ago', async () => {
    await insert(minutes(1_500, 0, { ms: 2_000 }))
    expect(await since()).toBeNull()
  })
})

describe('since when a job fails', () => {
  const since = async (runs: number, failed: number) =>
    await ageOf(await findFailingSince(runtime.reader, 'sweep', { runs, failed }))

  it('goes back to a stretch of successes that is hardly luck at that share', async () => {
    await insert([
      ...minutes(200, 100),
      { minutesAgo: 150.5, code: 'broken' },
      ...minutes(100, 0).map((run, at) => ({ ...run, code: at % 2 === 0 ? 'broken' : null })),
      // Says nothing about the job.
      { minutesAgo: 100.5, code: 'cancelled' },
    ])
    expect(await since(60, 30)).toBe(100)
    // Nobody would call 50 successes luck where half fail, but where one in a hundred does.
    expect(await since(60, 1)).toBe(150.5)
  })

  it('is told of a job that has always failed, and not where it is further back than is looked', async () => {
    await insert(minutes(40, 0, { code: 'broken' }))
    expect(await since(40, 40)).toBe(40)
    await insert(minutes(6_000, 40, { code: 'broken' }))
    expect(await since(60, 60)).toBeNull()
  })
})

describe('the version that showed it first', () => {
  const versions = async () => {
    const rows = await runtime.rows<{ id: string; nth: number }>(
      `select "id"::text, row_number() over (order by "startedAt")::int as nth from "JobRun"`,
    )
    const found = await findVersions(
      runtime.reader,
      rows.map(({ id }) => id),
    )
    return rows.map(({ id }) => {
      const { version, runsBefore } = found.get(id)!
      return [version, runsBefore]
    })
  }

  it('is that of its worker, with how many runs of the job it had had before', async () => {
    await runtime.rows(
      `insert into "JobFormerWorker" values ('a', '0.2.0', $1, $1), ('b', '0.2.1', $1::timestamptz + interval '3 minutes', $1)`,
      ['2026-11-24T08:30:00Z'],
    )
    await runtime.rows(
      `insert into "JobWorker" ("id", "startedAt", "version") values ('c', $1, '0.2.1')`,
      ['2026-11-24T08:36:00Z'],
    )
    const by = ['a', 'a', 'b', 'a', 'c', 'gone', 'c']
    await insert(by.map((workerId, at) => ({ minutesAgo: 20 - at, workerId })))
    expect(await versions()).toEqual([
      ['0.2.0', 0],
      ['0.2.0', 1],
      ['0.2.1', 0],
      ['0.2.0', 2],
      ['0.2.1', 1],
      [null, null],
      ['0.2.1', 2],
    ])
    // Of so many nobody counts further back.
    await insert(
      minutes(1_100, 0, { workerId: 'a' }).map((run, at) => ({
        ...run,
        minutesAgo: 50 - at / 1_000,
      })),
    )
    expect((await versions()).at(-1)).toEqual(['0.2.1', null])
  })
})
