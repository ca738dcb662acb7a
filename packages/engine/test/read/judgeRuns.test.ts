import { describe, expect, it } from 'vitest'
import { isSlower, judgeIdle, listIdle, listSlower } from '../../src/read/judgeRuns.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: [] })
const NOW = new Date('2026-11-24T09:30:00Z')

/** Inserts successes that started so many minutes ago, each with its counts and how long it took. */
async function insert(
  runs: readonly { minutesAgo: number; details?: object; ms?: number; dryRun?: boolean }[],
): Promise<void> {
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "details", "dryRun")
     select gen_random_uuid(), 'sweep', 'success', 'queue', 'w', at, at + ms * interval '1 millisecond', details, dry
     from unnest($2::float8[], $3::jsonb[], $4::float8[], $5::boolean[]) run(minutes, details, ms, dry)
       cross join lateral (select $1::timestamptz - minutes * interval '1 minute' as at) instant
     order by details::text, minutes::int % 7`,
    [
      NOW,
      runs.map(({ minutesAgo }) => minutesAgo),
      runs.map(({ details }) => JSON.stringify(details ?? {})),
      runs.map(({ ms = 0 }) => ms),
      runs.map(({ dryRun = false }) => dryRun),
    ],
  )
}

async function idAt(at: string): Promise<string | undefined> {
  const [run] = await runtime.rows<{ id: string }>(
    `select "id"::text from "JobRun" where "startedAt" = $1::timestamptz`,
    [at],
  )
  return run?.id
}

describe('a job that has begun to do nothing', () => {
  const counted = (minutesAgo: number, archived: number) => ({
    minutesAgo,
    details: { archived, batches: 7, text: 'x', nested: { archived: 1 } },
  })
  const usual = Array.from({ length: 57 }, (_, at) => counted(100 + at, 90 + at))

  it('is told since its first run that counted nothing', async () => {
    await insert([...usual, ...[1, 2, 3].map((minutes) => counted(minutes, 0))])
    // Neither of these counted anything, nor is it known to have counted nothing.
    await insert([{ minutesAgo: 200 }, { ...counted(0.5, 3), dryRun: true }])
    expect(await listIdle(runtime.reader, ['sweep', 'other'], NOW)).toEqual([
      {
        name: 'sweep',
        runs: 3,
        isCut: false,
        usual: 118,
        firstRunId: await idAt('2026-11-24T09:27:00Z'),
      },
    ])
    await insert([counted(0, 1)])
    expect(await listIdle(runtime.reader, ['sweep'], NOW)).toEqual([])
  })

  it.each([
    ['of which nobody knows what is usual', [0, 0, 0, 5, 5, 5, 5, 5, 5, 5, 5, 5]],
    ['that never did anything', Array<number>(60).fill(0)],
    ['that did nothing twice', [0, 0, ...Array<number>(58).fill(5)]],
    [
      'that rests as long as it did before',
      [...Array<number>(8).fill(0), 5, 5, 5, 5, ...Array<number>(8).fill(0), 5, 5, 5, 5, 5],
    ],
  ])('is not one %s', (_, counts) => {
    expect(judgeIdle(counts)).toBeNull()
  })

  it('is hardly ever one without a fault, however often it has nothing to do', () => {
    // Not by fast-check, which prefers values at the edges.
    let seed = 7
    const draw = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
    const shares = [0, 0.05, 0.2, 0.5, 0.8, 0.95]
    const alarms = shares.map((share) => {
      const histories = Array.from({ length: 5_000 }, () =>
        Array.from({ length: 60 }, () => (draw() < share ? 0 : 5)),
      )
      return histories.filter((counts) => judgeIdle(counts) !== null).length
    })
    expect(Math.max(...alarms)).toBeLessThanOrEqual(5)
  })
})

describe('a job that is slower', () => {
  const hours = (count: number, ms: number) =>
    Array.from({ length: count }, (_, nth) =>
      Array.from({ length: 6 }, (_run, at) => ({
        minutesAgo: 25 * 60 + nth * 7 * 60 - 5 - at,
        ms,
      })),
    ).flat()
  const latest = (ms: number, count = 10) =>
    Array.from({ length: count }, (_, at) => ({ minutesAgo: 1 + at * 5, ms }))

  it('is told with what is usual, while half of the last hour took so long', async () => {
    await insert([...hours(5, 75), ...latest(2_000)])
    const told = { name: 'sweep', runs: 10, p50Ms: 2_000, usualMs: 75, limitMs: 150 }
    expect(await listSlower(runtime.reader, ['sweep', 'other'], NOW)).toEqual([told])
    await insert(latest(75, 11))
    expect(await listSlower(runtime.reader, ['sweep'], NOW)).toEqual([])
  })

  it('is not one of which little is known, that one hour of the day is as slow, or that is fast all the same', async () => {
    await insert([...hours(2, 75), ...latest(2_000)])
    expect(await listSlower(runtime.reader, ['sweep'], NOW)).toEqual([])
    await insert(hours(1, 75).map((run) => ({ ...run, minutesAgo: run.minutesAgo + 14 * 60 })))
    expect(await listSlower(runtime.reader, ['sweep'], NOW)).toHaveLength(1)
    await insert(hours(1, 1_500).map((run) => ({ ...run, minutesAgo: run.minutesAgo + 21 * 60 })))
    expect(await listSlower(runtime.reader, ['sweep'], NOW)).toEqual([])
    expect(isSlower(90, [10, 10, 10])).toBe(true)
    await runtime.clear()
    await insert([...hours(5, 10), ...latest(90)])
    expect(await listSlower(runtime.reader, ['sweep'], NOW)).toEqual([])
  })
})
